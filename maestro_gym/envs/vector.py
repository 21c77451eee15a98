"""The native vector environments: one call steps the whole batch and begins ended episodes anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.batch.agent_batch import EnvOptions
from maestro_gym.envs.batch.simulated import Batch
from maestro_gym.envs.render import render_text
from maestro_gym.envs.single import env_options, info_of, observation_space_of

Observation = dict[str, np.ndarray]


class MaestroVectorEnv(gymnasium.vector.VectorEnv[Observation, np.ndarray, np.ndarray]):
    """A batch of one tier's environments; ``gymnasium.make_vec`` makes it.

    Environment e with seed s is exactly the single environment with seed s + e. An ended episode is
    followed by the next in the same call (SAME_STEP): observation and mask belong to the new episode,
    the old one's are in ``infos["final_obs"]`` and ``infos["final_info"]``. Observations are the
    batch's own arrays, of which two take turns: copy what must outlive the next step.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as Gymnasium declares it
        "render_modes": ["ansi"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    tier: ClassVar[str]

    def __init__(self, num_envs: int = 1, *, render_mode: str | None = None, **options: Any) -> None:  # noqa: ANN401
        """Make the batch.

        Args:
            num_envs: E.
            render_mode: None or ``ansi``.
            options: Arguments of the single environment.
        """
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.batch = Batch(self.tier, env_options(options), num_envs)
        self.single_observation_space = observation_space_of(self.batch.layout)
        self.single_action_space = spaces.Discrete(self.batch.layout.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._always = np.ones(num_envs, np.bool_)
        self._begun = False

    @property
    def options(self) -> EnvOptions:
        """Arguments of the environments."""
        return self.batch.options

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every environment.

        Args:
            seed: An integer s gives environment e the seed s + e; a list gives each its own; None goes on with
                the next episodes, and draws the seeds when there were none.
            options: Not used.

        Returns:
            Observations and infos.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        if seed is None:
            drawn = self.np_random.integers(2**31, size=self.num_envs).tolist()
            seeds: list[int | None] = [None] * self.num_envs if self._begun else drawn
        elif isinstance(seed, int):
            seeds = [seed + e for e in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise MaestroError(f"{len(seeds)} seeds were given for {self.num_envs} environments; give one for each.")
        self._begun = True
        self.batch.begin_all(seeds)
        return self.batch.observation(), self._infos(np.zeros((self.num_envs, len(self.batch.reward.term_names))))

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Do an action in every environment.

        Args:
            actions: Integers, shape (E,).

        Returns:
            Observations, rewards float64 (E,), terminated and truncated bool (E,), infos.
        """
        if not self._begun:
            raise MaestroError("No episode is under way: call reset() before step().")
        self.batch.step(actions)
        rewards, terms = self.batch.rewards()
        terminated, truncated = self.batch.ends()
        ended = np.flatnonzero(terminated | truncated)
        final: dict[str, Any] = {}
        if len(ended):
            final = self._final(ended, terms)
            terms = terms.copy()
            for e in ended:
                self.batch.begin(int(e))
                terms[e] = 0.0
        return self.batch.observation(), rewards, terminated, truncated, {**self._infos(terms), **final}

    def action_masks(self) -> np.ndarray:
        """Legal actions of the pending decisions, bool, shape (E, A)."""
        return self.batch.buffers.mask.copy()

    def render(self) -> tuple[str, ...] | None:
        """A picture of every environment, with ``render_mode="ansi"``."""
        if self.render_mode != "ansi":
            return None
        return tuple(render_text(self.batch, e) for e in range(self.num_envs))

    def _infos(self, terms: np.ndarray) -> dict[str, Any]:
        """Infos as arrays, each with Gymnasium's mask of the environments that have it: all."""
        outcome = self.batch.outcome
        names = self.batch.reward.term_names
        values = {
            "dt_s": outcome["dt_s"].copy(),
            "sim_time_s": outcome["now_s"].copy(),
            "tier": outcome["tier"].copy(),
            "place": outcome["place"].copy(),
            "action_mask": self.batch.buffers.mask.copy(),
            "invalid_action": outcome["invalid"] == 1,
            "reward_terms": self._marked({name: terms[:, i] for i, name in enumerate(names)}),
            "workflows_arrived": outcome["arrived"].copy(),
            "workflows_finished": outcome["finished"].copy(),
            "episode_index": self.batch.episodes.copy(),
            "end_reason": outcome["done"].copy(),
        }
        return self._marked(values)

    def _marked(self, values: dict[str, Any]) -> dict[str, Any]:
        return values | {f"_{name}": self._always for name in values}

    def _final(self, ended: np.ndarray, terms: np.ndarray) -> dict[str, Any]:
        """``final_obs`` and ``final_info`` of the environments that ended, before they begin anew."""
        observation = self.batch.observation()
        final_obs = np.full(self.num_envs, None, dtype=object)
        final_info: dict[str, Any] = {}
        has = np.zeros(self.num_envs, np.bool_)
        has[ended] = True
        for e in ended:
            final_obs[e] = {name: array[e].copy() for name, array in observation.items()}
            final_info = self._add_info(final_info, info_of(self.batch, int(e), terms[e]), int(e))
        return {"final_obs": final_obs, "_final_obs": has, "final_info": final_info, "_final_info": has.copy()}


class NodeVectorEnv(MaestroVectorEnv):
    """Batch of ``Maestro/Node-v0``."""

    tier: ClassVar[str] = "node"


class ClusterVectorEnv(MaestroVectorEnv):
    """Batch of ``Maestro/Cluster-v0``."""

    tier: ClassVar[str] = "cluster"


class GlobalVectorEnv(MaestroVectorEnv):
    """Batch of ``Maestro/Global-v0``."""

    tier: ClassVar[str] = "global"


class JointVectorEnv(MaestroVectorEnv):
    """Batch of ``Maestro/Joint-v0``."""

    tier: ClassVar[str] = "joint"
