"""MaskablePPO of sb3-contrib in a script of your own, judged by SLO attainment beside Maestro's.

    python examples/sb3_maskable_ppo.py [DECISIONS]

Masks come from the environment's `action_masks()`; nothing has to be wrapped.
"""

from __future__ import annotations

import sys

from sb3_contrib import MaskablePPO

from maestro_gym.agents import EpisodeMetricsEval
from maestro_gym.envs import MaestroVecEnv

DECISIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
FLEET = {"scenario": "quick", "overrides": ["horizon_s=30", "drain_s=60"]}


def main() -> None:
    """Train, looking now and then at four validation episodes that Maestro plays too."""
    env = MaestroVecEnv("Maestro/Cluster-v1", 4, **FLEET)
    unseen = MaestroVecEnv(
        "Maestro/Cluster-v1", 4, **FLEET, split="validation", evaluation=True, compare_with="maestro"
    )
    watch = EpisodeMetricsEval(unseen, every_steps=DECISIONS // 4, patience=3, path="sb3_maskable_ppo_best.zip")
    model = MaskablePPO("MultiInputPolicy", env, n_steps=256, batch_size=256, gamma=0.999, device="cpu")
    model.learn(DECISIONS, callback=watch)
    best = MaskablePPO.load("sb3_maskable_ppo_best.zip", device="cpu")
    observation, done, infos = unseen.reset(), [False], [{}]
    while not done[0]:
        action, _ = best.predict(observation, deterministic=True, action_masks=unseen.action_masks())
        observation, _, done, infos = unseen.step(action)
    own, maestro = (infos[0][name]["slo_attainment"] for name in ("episode_metrics", "reference_metrics"))
    print(f"best of {len(watch.scores)}: {own:.1%} of the workflows in time, Maestro {maestro:.1%}")


if __name__ == "__main__":
    main()
