"""Infos without nan, for libraries that take nan for a fault of the environment."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
from gymnasium.utils import RecordConstructorArgs


class FiniteInfo(gymnasium.Wrapper, RecordConstructorArgs):
    """Leaves out the metrics of an episode in which there was nothing to measure, instead of telling nan.

    Tianshou refuses a buffer that holds nan, and keeps infos in its buffers.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        """Wrap an environment.

        Args:
            env: A Maestro environment, wrapped or not.
        """
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:  # noqa: ANN401 - Gymnasium's types
        """Do an action; see `MaestroEnv.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        kept = {
            name: {metric: value for metric, value in info[name].items() if not math.isnan(value)}
            for name in ("episode_metrics", "reference_metrics")
            if name in info
        }
        return observation, reward, terminated, truncated, info | kept
