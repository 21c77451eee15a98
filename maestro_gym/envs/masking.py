"""The mask inside the observation, for learners that look for it there."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs


class ActionMaskObservation(gymnasium.ObservationWrapper, RecordConstructorArgs):
    """Adds ``action_mask``, int8 of shape (A,), to the observation: 1 where the action is legal."""

    def __init__(self, env: gymnasium.Env) -> None:
        """Wrap an environment.

        Args:
            env: A Maestro environment, wrapped or not, with a ``Dict`` observation.
        """
        RecordConstructorArgs.__init__(self)
        gymnasium.ObservationWrapper.__init__(self, env)
        inner = env.observation_space
        actions = env.action_space
        if not isinstance(inner, spaces.Dict) or not isinstance(actions, spaces.Discrete):
            raise TypeError("ActionMaskObservation wraps environments with Dict observations and Discrete actions")
        self.observation_space = spaces.Dict({**inner.spaces, "action_mask": spaces.MultiBinary(int(actions.n))})

    def observation(self, observation: dict[str, np.ndarray]) -> dict[str, Any]:
        """Add the mask of the pending decision."""
        return {**observation, "action_mask": self.action_masks().astype(np.int8)}

    def action_masks(self) -> np.ndarray:
        """Legal actions of the pending decision, bool, shape (A,)."""
        return self.env.get_wrapper_attr("action_masks")()
