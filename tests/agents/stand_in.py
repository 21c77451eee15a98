"""A tiny environment with the observations of every tier: the best candidate has the largest feature."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

CANDIDATES, FEATURES, CONTEXT = 5, 4, 3
EPISODE_STEPS = 12


class StandInVecEnv(VecEnv):
    """Pays the chosen candidate's feature 1; the first candidates are present in random number.

    A step takes a random time; every draw is a function of (environment, step), and the whole state is
    one counter per environment.
    """

    render_mode = None

    def __init__(self, num_envs: int = 32, num_candidates: int = CANDIDATES, truncate: bool = True) -> None:
        self.counters = np.zeros(num_envs, dtype=np.int64)
        self.last_dt_s = np.zeros(num_envs)
        self.truncate = truncate
        observation = spaces.Dict(
            {
                "candidates": spaces.Box(-1, 1, (num_candidates, FEATURES), np.float32),
                "context": spaces.Box(-1, 1, (CONTEXT,), np.float32),
            }
        )
        super().__init__(num_envs, observation, spaces.Discrete(num_candidates))

    def _observe(self) -> dict[str, np.ndarray]:
        candidates = np.zeros((self.num_envs, self.action_space.n, FEATURES), np.float32)
        context = np.zeros((self.num_envs, CONTEXT), np.float32)
        for e, counter in enumerate(self.counters):
            draw = np.random.default_rng((e, int(counter)))
            present = draw.integers(2, self.action_space.n + 1)
            candidates[e, :present] = draw.uniform(-1, 1, (present, FEATURES))
            candidates[e, :present, 0] = 1
            context[e] = draw.uniform(-1, 1, CONTEXT)
            self.last_dt_s[e] = draw.exponential()
        self.observation = {"candidates": candidates, "context": context}
        return self.observation

    def reset(self) -> dict[str, np.ndarray]:
        self.counters[:] = 0
        return self._observe()

    def get_state(self) -> dict[str, np.ndarray]:
        return {"counters": self.counters.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.counters[:] = state["counters"]
        self._observe()

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = actions

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        rewards = self.observation["candidates"][np.arange(self.num_envs), self.actions, 1].copy()
        self.counters += 1
        dones = self.counters % EPISODE_STEPS == 0
        observation = self._observe()
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for e in np.flatnonzero(dones):
            infos[e] = {
                "reward_terms": {"largest": float(rewards[e])},
                "terminal_observation": {key: value[e].copy() for key, value in observation.items()},
                "TimeLimit.truncated": self.truncate,
            }
        return observation, rewards, dones, infos

    def action_masks(self) -> np.ndarray:
        return self.observation["candidates"][..., 0] > 0.5

    def own_answers(self) -> np.ndarray:
        """A teacher that knows the best candidate."""
        candidates = self.observation["candidates"]
        return np.where(candidates[..., 0] > 0.5, candidates[..., 1], -np.inf).argmax(1)

    def env_method(self, method_name: str, *args: object, indices: object = None, **kwargs: object) -> list[Any]:
        return list(getattr(self, method_name)(*args, **kwargs))

    def has_attr(self, attr_name: str) -> bool:
        return hasattr(self, attr_name)

    def get_attr(self, attr_name: str, indices: object = None) -> list[Any]:
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: object, indices: object = None) -> None:
        setattr(self, attr_name, value)

    def env_is_wrapped(self, wrapper_class: type, indices: object = None) -> list[bool]:
        return [False] * self.num_envs

    def close(self) -> None:
        pass


def share_of_best(actions: np.ndarray, observation: dict[str, np.ndarray]) -> float:
    """How often the present candidate with the largest feature 1 was picked."""
    candidates = observation["candidates"]
    worth = np.where(candidates[..., 0] > 0.5, candidates[..., 1], -np.inf)
    return float((actions == worth.argmax(1)).mean())
