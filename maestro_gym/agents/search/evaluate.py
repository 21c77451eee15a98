"""Candidates by episodes: whole episodes under many settings of one policy, over all cores.

A candidate is a row of numbers, which compiled rules read at run time: a thread keeps one simulation for each place and
loads the next episode with the next candidate into it. Candidates may also differ in limits of engines: these make
another world, which is built once, and the episodes stay those of the place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from maestro_gym.core.threads import thread_count
from maestro_gym.episodes.metrics.outcome import Outcome, outcome_of
from maestro_gym.episodes.metrics.row import metric_of
from maestro_gym.episodes.run import NO_AGENT, result_of
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.reads import metric_tiers
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import CLASS_NAMES, Episode
from maestro_gym.workloads import fold_seed

MEASURES = ("slo_attainment", "completion_mean_s", "completion_p95_s", *(f"slo_attainment_{c}" for c in CLASS_NAMES))
"""What an episode is reduced to unless told otherwise, in this order."""

_BLOCKING = "hol_blocking"
"""How metrics begin that need the head-of-line blocking of an outcome, which is left out where none does."""


class Trial(NamedTuple):
    """One episode under one candidate."""

    candidate: int
    place: int
    split: str
    seed: int


@dataclass
class _Seat:
    """A simulation that one thread keeps for one place, under the limits of its last trial."""

    limits: tuple[str, ...]
    simulation: Simulation
    engine: Any = None
    opened: Any = None


class Evaluator:
    """Runs trials of one policy on several scenarios."""

    def __init__(
        self, scenarios: Sequence[Scenario], policies: Sequence[Policy], measures: Sequence[str] = MEASURES
    ) -> None:
        """Prepare.

        Args:
            scenarios: The places.
            policies: The policy as loaded for each of them; its own numbers are not used.
            measures: Metrics of an episode that are wanted, by column.
        """
        self._scenarios = list(scenarios)
        # Without numbers of its own, a policy leaves those of the simulation as they are.
        self._policies = [replace(policy, numbers=()) for policy in policies]
        self._measures = list(measures)
        self._changed: dict[tuple[int, tuple[str, ...]], Scenario] = {}
        self._local = threading.local()

    def run(
        self, candidates: np.ndarray, trials: Sequence[Trial], limits: Sequence[tuple[str, ...]] | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Run trials, in any order.

        Args:
            candidates: float64, shape (candidates, numbers), as ``view.numbers`` shall hold them.
            trials: The trials.
            limits: What each candidate changes in the limits of engines, as overrides; None: nothing.

        Yields:
            Number of the trial, and its measures, float64, shape (measures,).
        """
        limits = limits or [()] * len(candidates)
        # Episodes and worlds are made here: a scenario keeps the last few episodes, and threads would make each anew.
        episodes = {
            (trial.place, trial.split, trial.seed): self._scenarios[trial.place].episode(trial.split, trial.seed, 0)
            for trial in trials
        }
        for trial in trials:
            self._scenario(trial.place, limits[trial.candidate])
        with ThreadPoolExecutor(thread_count()) as pool:
            futures = {
                pool.submit(
                    self._run, candidates[trial.candidate], limits[trial.candidate], trial, episodes[trial[1:]]
                ): number
                for number, trial in enumerate(trials)
            }
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def run_one(self, numbers: np.ndarray, limits: tuple[str, ...], trial: Trial) -> np.ndarray:
        """Run one trial, in the calling thread.

        Args:
            numbers: float64, shape (numbers,), of its candidate.
            limits: What its candidate changes in the limits of engines, as overrides.
            trial: The trial.

        Returns:
            Its measures, float64, shape (measures,).
        """
        return self._run(numbers, limits, trial, self._scenarios[trial.place].episode(trial.split, trial.seed, 0))

    def _run(self, numbers: np.ndarray, limits: tuple[str, ...], trial: Trial, episode: Episode) -> np.ndarray:
        scenario, policy = self._scenario(trial.place, limits), self._policies[trial.place]
        seat = self._seat(trial.place, limits)
        simulation = seat.simulation
        simulation.numbers[0, : len(numbers)] = numbers
        simulation.load(0, episode, key=fold_seed(trial.seed))
        if simulation.state is not seat.opened:
            seat.engine, seat.opened = open_engine(simulation, policy), simulation.state
        run_until(seat.engine, 0, NO_AGENT)
        result = result_of(simulation.state, scenario, policy, episode, trial.split, trial.seed, 0, 0.0)
        blocking = any(name.startswith(_BLOCKING) for name in self._measures)
        outcome = outcome_of(result, blocking=blocking)
        parts = [outcome, *(outcome.of_class(cls) for cls in range(len(CLASS_NAMES)))]
        return np.array([_value(name, parts) for name in self._measures])

    def _scenario(self, place: int, limits: tuple[str, ...]) -> Scenario:
        if not limits:
            return self._scenarios[place]
        if (place, limits) not in self._changed:
            self._changed[place, limits] = self._scenarios[place].under(limits)
        return self._changed[place, limits]

    def _seat(self, place: int, limits: tuple[str, ...]) -> _Seat:
        seats: dict[int, _Seat] = self._local.__dict__.setdefault("seats", {})
        if place not in seats or seats[place].limits != limits:
            scenario = self._scenario(place, limits)
            warm = scenario.config.workload.initial_placement == "warm"
            simulation = Simulation(
                scenario.world, evaluation=True, warm=warm, metric_tiers=metric_tiers(self._policies[place])
            )
            seats[place] = _Seat(limits, simulation)
        return seats[place]


def _value(column: str, parts: Sequence[Outcome]) -> float:
    """A metric of an episode from its outcome as a whole and by class, in the order of `Metric.columns`."""
    metric = metric_of(column)
    return metric.compute(parts[metric.columns.index(column)])
