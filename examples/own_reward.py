"""A reward of your own: what a second of first-token delay and a cold start cost, beside the default.

    python examples/own_reward.py

A reward sees by how much each counter of `REWARD_COUNTERS` grew over a step, of all environments of a batch at once. It
must pickle, so that it can be sent to other processes: a class of a module does.
"""

from __future__ import annotations

import gymnasium
import numpy as np

import maestro_gym  # noqa: F401 - registers the environments
from maestro_gym.envs import REWARD_COUNTERS

FLEET = {"scenario": "quick", "overrides": ["contention=high", "horizon_s=60"]}


class PromptService:
    """-1 for every interactive stage above its TTFT limit, -5 for every engine start, nothing else."""

    term_names = ("late_first_token", "cold_start")

    def __call__(self, deltas: np.ndarray, dt_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rewards (E,) and their terms (E, 2)."""
        late = -1.0 * deltas[:, REWARD_COUNTERS.index("ttft_missed_weight")]
        cold = -5.0 * deltas[:, REWARD_COUNTERS.index("cold_starts")]
        terms = np.stack([late, cold], axis=1)
        return terms.sum(axis=1), terms


def main() -> None:
    """Pay an episode of random legal choices by it."""
    env = gymnasium.make("Maestro/Cluster-v0", reward=PromptService(), **FLEET)
    _, info = env.reset(seed=0)
    env.action_space.seed(0)
    paid, over = dict.fromkeys(PromptService.term_names, 0.0), False
    while not over:
        _, _, terminated, truncated, info = env.step(env.action_space.sample(info["action_mask"].astype(np.int8)))
        paid = {name: total + info["reward_terms"][name] for name, total in paid.items()}
        over = terminated or truncated
    print(", ".join(f"{name} {total:.0f}" for name, total in paid.items()))
    print(f"TTFT attainment {info['episode_metrics']['ttft_attainment']:.1%}")


if __name__ == "__main__":
    main()
