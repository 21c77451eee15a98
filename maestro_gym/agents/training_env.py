"""The environments that a policy learns in: the native batch, out of step with itself, resumable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.batch.agent_batch import EnvOptions
from maestro_gym.envs.batch.simulated import Batch
from maestro_gym.envs.sb3 import BatchVecEnv, tier_of
from maestro_gym.state import DONE_NO, DONE_TIME, Core, Hidden, State, View

_PARTS = (("visible", View), ("hidden", Hidden), ("core", Core))


class StaggeredBatch(Batch):
    """A batch whose first episodes are cut off at evenly spread times.

    All environments begin empty and end at one horizon. In step, every rollout would show one moment of
    the day only: morning first, evening much later. After the first, shortened episodes, all hours are there.
    """

    def step(self, actions: np.ndarray) -> None:
        """Do an action in every environment; see `Batch.step`."""
        super().step(actions)
        outcome = self.buffers.outcome
        share = (np.arange(self.num_envs) + 1) / self.num_envs
        early = (self.episodes == 0) & (outcome["now_s"] >= share * self.scenario.config.horizon_s)
        outcome["done"][early & (outcome["done"] == DONE_NO)] = DONE_TIME

    def restore(self, state: State) -> None:
        """Go on from another state of the simulation."""
        self._simulation.restore(state)
        self._open()


class TrainingVecEnv(BatchVecEnv):
    """``BatchVecEnv`` over a staggered batch, whose whole state can be saved and restored."""

    batch: StaggeredBatch

    def __init__(self, tier: str, num_envs: int, *, seed: int, options: EnvOptions) -> None:
        """Make the batch.

        Args:
            tier: ``cluster`` or ``Maestro/Cluster-v0``, and so on.
            num_envs: E.
            seed: Environment e gets seed + e.
            options: Arguments of the environments.
        """
        super().__init__(StaggeredBatch(tier_of(tier), options, num_envs), seed)

    def _told_at_end(self, e: int) -> dict[str, Any]:
        """Nothing: validation measures, and metrics cost a third of an episode."""
        return {}

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything that the future depends on; the arrays themselves, to be written out before the next step."""
        batch = self.batch
        arrays = {
            "seeds": batch.seeds,
            "episodes": batch.episodes,
            "returns": self._returns,
            "lengths": self._lengths,
            "terms": self._terms,
        }
        arrays |= {f"buffers.{name}": value for name, value in batch.buffers._asdict().items()}
        for part, kind in _PARTS:
            for name in kind._fields:
                if name != "world":
                    arrays[f"{part}.{name}"] = getattr(getattr(batch.state, part), name)
        return {name: np.asarray(value) for name, value in arrays.items()}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to a state of `get_state`.

        Args:
            state: Of a batch of the same scenario and size.

        Raises:
            MaestroError: It is of another number of environments.
        """
        batch = self.batch
        if len(state["seeds"]) != self.num_envs:
            raise MaestroError(
                f"The saved state is of {len(state['seeds'])} environments, this run has {self.num_envs}. "
                "Resume with the run's own train.num_envs."
            )
        parts: dict[str, Any] = {}
        for part, kind in _PARTS:
            fields: dict[str, Any] = {name: state[f"{part}.{name}"] for name in kind._fields if name != "world"}
            if part == "visible":
                fields["world"] = batch.state.visible.world
            parts[part] = kind(**fields)
        batch.restore(State(**parts))
        for name, value in batch.buffers._asdict().items():
            value[...] = state[f"buffers.{name}"]
        batch.seeds[:], batch.episodes[:] = state["seeds"], state["episodes"]
        self._returns[:], self._lengths[:] = state["returns"], state["lengths"]
        self._terms[:] = state["terms"]
        # The seeds have been used; a reset must go on with the next episodes.
        self._begun = True
        self._reset_seeds()
