"""A wrapper of your own: the agent is asked only where it has a choice, and sees the hour of the episode.

    python examples/own_wrapper.py

It is plain Gymnasium. `info["dt_s"]` and the reward are added up over the decisions that are passed over.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

import maestro_gym  # noqa: F401 - registers the environments

FLEET = {"scenario": "quick", "overrides": ["contention=high", "horizon_s=60"]}


class RealChoices(gymnasium.Wrapper):
    """Does the only legal action where there is but one, and adds `minutes` to the observation."""

    def __init__(self, env: gymnasium.Env) -> None:
        """Wrap an environment with a `Dict` observation."""
        super().__init__(env)
        minutes = spaces.Box(0.0, np.inf, (1,), np.float32)
        self.observation_space = spaces.Dict({**env.observation_space.spaces, "minutes": minutes})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin an episode; its first decision may have one answer only."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._seen(observation, info), info

    def step(self, action: np.int64) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Go on to the next decision with at least two legal actions, or to the end."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        dt_s = info["dt_s"]
        while not (terminated or truncated) and info["action_mask"].sum() == 1:
            observation, more, terminated, truncated, info = self.env.step(info["action_mask"].argmax())
            reward, dt_s = reward + more, dt_s + info["dt_s"]
        return self._seen(observation, info), reward, terminated, truncated, info | {"dt_s": dt_s}

    def _seen(self, observation: dict[str, np.ndarray], info: dict[str, Any]) -> dict[str, np.ndarray]:
        return {**observation, "minutes": np.array([info["sim_time_s"] / 60], np.float32)}


def main() -> None:
    """Count the decisions of an episode with the wrapper and without."""
    plain = gymnasium.make("Maestro/Cluster-v0", **FLEET)
    for name, env in (("every decision", plain), ("real choices", RealChoices(plain))):
        _, info = env.reset(seed=0)
        decisions, over = 0, False
        while not over:
            observation, _, terminated, truncated, info = env.step(info["action_mask"].argmax())
            assert env.observation_space.contains(observation)
            decisions, over = decisions + 1, terminated or truncated
        print(f"{name:15} {decisions:5} decisions, {info['episode_metrics']['slo_attainment']:.1%} in time")


if __name__ == "__main__":
    main()
