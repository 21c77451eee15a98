"""Stable-Baselines3's ``VecEnv`` over the same batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.batch.agent_batch import AgentBatch
from maestro_gym.envs.batch.simulated import Batch
from maestro_gym.envs.episode_end import end_info
from maestro_gym.envs.observation.layout import TIER_SPECS
from maestro_gym.envs.render import VECTOR_RENDER_MODES, Display, check_render_mode
from maestro_gym.envs.shown import Observation, shown, shown_space
from maestro_gym.envs.single import env_options
from maestro_gym.registration import VERSION_1


def tier_of(name: str) -> str:
    """The tier of an id (``Maestro/Cluster-v0``) or of a tier's own name (``cluster``)."""
    tier = name.rpartition(":")[2].removeprefix("Maestro/").split("-v")[0].lower()
    if tier not in TIER_SPECS:
        raise MaestroError(f"There is no environment {name!r}; the tiers are {', '.join(TIER_SPECS)}.")
    return tier


class BatchVecEnv(VecEnv):
    """A batch as Stable-Baselines3 wants it.

    Environment e with seed s is exactly the single environment with seed s + e. Infos are filled for
    ended episodes only: ``terminal_observation``, ``TimeLimit.truncated``, and ``episode`` with its
    return ``r``, length ``l`` in decisions and ``t`` in simulated seconds, ``reward_terms``, their sums over the
    episode, and its ``episode_metrics``.

    Attributes:
        batch: The environments.
        last_dt_s: Array of float64, shape (E,), simulated length of the last step, for discounts by time.
    """

    def __init__(self, batch: AgentBatch, seed: int | None = None, render_mode: str | None = None) -> None:
        """Wrap a batch.

        Args:
            batch: The environments.
            seed: Environment e gets seed + e at the first reset; None draws.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            ArgumentValueError: There is no such render mode.
        """
        self.batch, num_envs = batch, batch.num_envs
        self._mode = check_render_mode(render_mode, VECTOR_RENDER_MODES)
        self._displays = [Display(batch, render_mode, e) for e in range(num_envs)]
        self.last_dt_s = np.zeros(num_envs)
        self._actions = np.zeros(num_envs, np.int64)
        self._returns = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)
        self._terms = np.zeros((num_envs, len(self.batch.reward.term_names)))
        self._infos: list[dict[str, Any]] = [{} for _ in range(num_envs)]
        self._filled: list[int] = []
        self._begun = False
        super().__init__(num_envs, shown_space(self.batch), spaces.Discrete(self.batch.layout.num_actions))
        if seed is not None:
            self.seed(seed)

    def reset(self) -> Observation:
        """Begin an episode in every environment; its arrays hold until the step after the next."""
        seeds = list(self._seeds)
        if not self._begun:
            drawn = np.random.default_rng().integers(2**31, size=self.num_envs).tolist()
            seeds = [d if s is None else s for s, d in zip(seeds, drawn, strict=True)]
        self._begun = True
        self.batch.begin_all(seeds)
        for display in self._displays:
            display.begin()
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self._terms[:] = 0.0
        return shown(self.batch, copy=False)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = np.asarray(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Step the batch; ended episodes are followed by the next."""
        self.batch.step(self._actions)
        rewards, terms = self.batch.rewards()
        terminated, truncated = self.batch.ends()
        dones = terminated | truncated
        self.last_dt_s = self.batch.outcome["dt_s"].copy()
        self._returns += rewards
        self._lengths += 1
        self._terms += terms
        if self._mode is not None:
            for display in self._displays:
                display.note()
        for e in self._filled:
            self._infos[e] = {}
        self._filled = np.flatnonzero(dones).tolist()
        for e in self._filled:
            self._infos[e] = self._last_info(e, bool(truncated[e]))
            self.batch.begin(e)
            self._displays[e].begin()
            self._returns[e] = 0.0
            self._lengths[e] = 0
            self._terms[e] = 0.0
        return shown(self.batch, copy=False), rewards.astype(np.float32), dones, list(self._infos)

    def _last_info(self, e: int, truncated: bool) -> dict[str, Any]:
        outcome = self.batch.outcome[e]
        names = self.batch.reward.term_names
        return {
            "terminal_observation": shown(self.batch, e),
            "TimeLimit.truncated": truncated,
            "episode": {
                "r": float(self._returns[e]),
                "l": int(self._lengths[e]),
                "t": float(outcome["now_s"]),
            },
            "reward_terms": dict(zip(names, self._terms[e].tolist(), strict=True)),
            "dt_s": float(outcome["dt_s"]),
            "sim_time_s": float(outcome["now_s"]),
            "workflows_arrived": int(outcome["arrived"]),
            "workflows_finished": int(outcome["finished"]),
            "end_reason": int(outcome["done"]),
            **self._told_at_end(e),
        }

    def _told_at_end(self, e: int) -> dict[str, Any]:
        return end_info(self.batch, e)

    def action_masks(self) -> np.ndarray:
        """Legal actions of the pending decisions, bool, shape (E, A)."""
        return self.batch.buffers.mask.copy()

    def own_answers(self) -> np.ndarray:
        """What the companions' own rule would answer now; see `AgentBatch.own_answers`."""
        return self.batch.own_answers()

    def get_images(self) -> list[np.ndarray | None]:
        """A picture of every environment, which Stable-Baselines3 tiles and films; None without ``rgb_array``."""
        images = [display.render() for display in self._displays]
        return [image if isinstance(image, np.ndarray) else None for image in images]

    def close(self) -> None:
        """End what is under way."""
        self.batch.close()

    def has_attr(self, attr_name: str) -> bool:
        """Whether every environment has an attribute: masks, and what `get_attr` answers."""
        return attr_name in ("action_masks", "render_mode", "last_dt_s", "spec")

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the environments.

        Raises:
            AttributeError: They have no such attribute.
        """
        chosen = list(self._chosen(indices))
        if attr_name in ("render_mode", "spec"):
            return [self._mode if attr_name == "render_mode" else None for _ in chosen]
        if attr_name == "last_dt_s":
            return [float(self.last_dt_s[e]) for e in chosen]
        raise AttributeError(f"the environments of a batch have no attribute {attr_name!r}")

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:  # noqa: ANN401 - SB3's type
        """Refused: the environments of a batch share their arguments.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(f"{attr_name!r} cannot be set on a batch; make another with other arguments")

    def env_method(
        self,
        method_name: str,
        *method_args: Any,  # noqa: ANN401 - SB3's type
        indices: VecEnvIndices = None,
        **method_kwargs: Any,  # noqa: ANN401 - SB3's type
    ) -> list[Any]:
        """Call ``action_masks`` or ``render`` of the environments.

        Raises:
            AttributeError: They have no such method.
        """
        chosen = self._chosen(indices)
        if method_name == "action_masks":
            return [self.batch.buffers.mask[e].copy() for e in chosen]
        if method_name == "render":
            return [self._displays[e].render() for e in chosen]
        raise AttributeError(f"the environments of a batch have no method {method_name!r}")

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """No environment of a batch is wrapped."""
        return [False for _ in self._chosen(indices)]

    def _chosen(self, indices: VecEnvIndices) -> Iterable[int]:
        return self._get_indices(indices)


class MaestroVecEnv(BatchVecEnv):
    """Simulated environments for Stable-Baselines3, see `BatchVecEnv`."""

    def __init__(
        self,
        tier: str,
        num_envs: int,
        *,
        seed: int | None = None,
        render_mode: str | None = None,
        **options: Any,  # noqa: ANN401 - see EnvOptions
    ) -> None:
        """Make the environments.

        Args:
            tier: An id, ``Maestro/Cluster-v1``, whose defaults then hold, or ``cluster`` and so on.
            num_envs: E.
            seed: Environment e gets seed + e at the first reset; None draws.
            render_mode: None, ``ansi`` or ``rgb_array``.
            options: Arguments of the single environment.
        """
        registered = VERSION_1.get(tier.rpartition(":")[2], {}).get("kwargs", {})
        batch = Batch(tier_of(tier), env_options(registered | options, owner=type(self)), num_envs)
        super().__init__(batch, seed, render_mode)
