"""A batch of simulated environments: the Python side of the kernels, under every adapter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.threads import run_split
from maestro_gym.envs.batch.agent_batch import AgentBatch, EnvOptions
from maestro_gym.envs.batch.buffers import BEGIN, open_runner
from maestro_gym.envs.batch.kernel import step_alone, step_one, step_range
from maestro_gym.envs.batch.own_rule import answered_by, own_answers
from maestro_gym.envs.scenario_source import companions_of
from maestro_gym.scheduling.outside import raise_failures
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine
from maestro_gym.state import DONE_NO, Episode, State, World
from maestro_gym.workloads import fold_seed

END_SLACK_S = 30.0
"""The engine runs this much beyond the horizon, so that an episode ends at a decision, not between two."""

PARALLEL_FROM = 32
"""Environments from which threads pay (below, they cost more than they do)."""

_MOST_EMPTY_EPISODES = 100


class Batch(AgentBatch):
    """E simulated environments of one tier over one scenario, stepped by one call; see `AgentBatch`."""

    def __init__(self, tier: str, options: EnvOptions, num_envs: int) -> None:
        """Allocate the batch; arguments as of `AgentBatch`."""
        super().__init__(tier, options, num_envs)
        self._simulation = Simulation(
            self._world(),
            self.num_envs,
            evaluation=options.evaluation,
            warm=self.scenario.config.workload.initial_placement == "warm",
            log_residency=options.log_residency,
        )
        self._episodes: list[Episode | None] = [None] * self.num_envs
        self._open()

    def _world(self) -> World:
        world = self.scenario.world
        params = world.params.copy()
        params["horizon_s"] += END_SLACK_S
        return world._replace(params=params)

    def _open(self) -> None:
        engine = open_engine(self._simulation, self.policy, self.layout.spec.additions)
        self._runner = open_runner(engine, self.layout, self.buffers, step_one)
        self._opened = self._simulation.state

    @property
    def state(self) -> State:
        """The simulation's arrays."""
        return self._simulation.state

    def episode(self, e: int) -> Episode:
        """See `AgentBatch.episode`."""
        episode = self._episodes[e]
        if episode is None:
            raise MaestroError(f"Environment {e} has no episode under way: call reset().")
        return episode

    def begin(self, e: int, seed: int | None = None) -> None:
        """Load the next episode of an environment and go to its first decision; see `AgentBatch.begin`."""
        if seed is not None:
            self.seeds[e] = fold_seed(seed)
            self.episodes[e] = -1
        for _ in range(_MOST_EMPTY_EPISODES):
            self._load_next(e)
            if step_alone(self._runner, e) == DONE_NO:
                return
        raise MaestroError(
            f"Scenario {self.scenario.config.name!r}: {_MOST_EMPTY_EPISODES} episodes in a row end before the agent's "
            f"first decision. Raise horizon_s ({self.scenario.config.horizon_s:g} s) or the load."
        )

    def step_or_begin(self, actions: np.ndarray, over: np.ndarray) -> None:
        """Do an action in every environment; where the episode is over, the next begins instead.

        Args:
            actions: Integers, shape (E,); those of environments whose episode is over are ignored.
            over: bool, shape (E,).
        """
        actions = self._checked(np.where(over, 0, actions))
        self._refuse_illegal(actions)
        self.buffers.actions[:] = actions
        for e in np.flatnonzero(over):
            self._load_next(int(e))
        self.flip()
        self._move()
        for e in np.flatnonzero(over & (self.outcome["done"] != DONE_NO)):
            self.begin(int(e))

    def _load_next(self, e: int) -> None:
        """Load the next episode of an environment; it begins with the next step."""
        self.episodes[e] += 1
        wanted = self.options.split, int(self.seeds[e]), int(self.episodes[e])
        episode = self.scenario.episode(*wanted, may_be_empty=True)
        self._episodes[e] = episode
        self._simulation.load(e, episode, key=self.policy_key(e))
        if self._simulation.state is not self._opened:
            self._open()
        self.buffers.actions[e] = BEGIN

    def _move(self) -> None:
        self._over_batch(lambda begin, end: step_range(self._runner, begin, end))
        raise_failures(self.policy)

    def _over_batch(self, work: Callable[[int, int], None]) -> None:
        """Do what releases the GIL in every environment, over threads where they pay."""
        if self.num_envs >= PARALLEL_FROM:
            run_split(work, self.num_envs)
        else:
            work(0, self.num_envs)

    def close(self) -> None:
        """A simulated episode holds nothing open."""

    def own_answers(self) -> np.ndarray:
        """See `AgentBatch.own_answers`."""
        answers, answered = np.empty(self.num_envs, np.int64), answered_by(self.policy)
        self._over_batch(lambda begin, end: own_answers(self._runner, answers, answered, begin, end))
        return answers

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the handles of compiled code, and the rules of a named policy."""
        kept = {k: v for k, v in self.__dict__.items() if k not in ("_runner", "_opened")}
        if self.policy.spec:
            kept["policy"] = self.policy.spec
        return kept

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Compile the rules and open the handles again."""
        self.__dict__.update(kept)
        self.policy = companions_of(kept["policy"], self.scenario)
        self._open()
