"""Candidates by episodes: whole episodes under many settings of one policy, over all cores.

A candidate is a row of numbers, which compiled rules read at run time: a thread keeps one simulation for each place and
loads the next episode with the next candidate into it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from maestro_gym.core.threads import thread_count
from maestro_gym.episodes.metrics.outcome import outcome_of
from maestro_gym.episodes.metrics.row import METRICS
from maestro_gym.episodes.run import NO_AGENT, result_of
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import CLASS_NAMES
from maestro_gym.workloads import fold_seed

MEASURES = ("slo_attainment", "completion_mean_s", "completion_p95_s", *(f"slo_attainment_{c}" for c in CLASS_NAMES))
"""What an episode is reduced to, in this order."""


class Trial(NamedTuple):
    """One episode under one candidate."""

    candidate: int
    place: int
    split: str
    seed: int


@dataclass
class _Seat:
    """A simulation that one thread keeps for one place."""

    simulation: Simulation
    engine: Any = None
    opened: Any = None


class Evaluator:
    """Runs trials of one policy on several scenarios."""

    def __init__(self, scenarios: Sequence[Scenario], policies: Sequence[Policy]) -> None:
        """Prepare.

        Args:
            scenarios: The places.
            policies: The policy as loaded for each of them; its own numbers are not used.
        """
        self._scenarios = list(scenarios)
        # Without numbers of its own, a policy leaves those of the simulation as they are.
        self._policies = [replace(policy, numbers=()) for policy in policies]
        self._local = threading.local()

    def run(self, candidates: np.ndarray, trials: Sequence[Trial]) -> Iterator[tuple[int, np.ndarray]]:
        """Run trials, in any order.

        Args:
            candidates: float64, shape (candidates, numbers).
            trials: The trials.

        Yields:
            Number of the trial, and its `MEASURES`.
        """
        # Episodes are drawn here: a scenario keeps the last few, and threads would draw each anew.
        episodes = {
            (trial.place, trial.split, trial.seed): self._scenarios[trial.place].episode(trial.split, trial.seed, 0)
            for trial in trials
        }
        with ThreadPoolExecutor(thread_count()) as pool:
            futures = {
                pool.submit(self._run, candidates[trial.candidate], trial, episodes[trial[1:]]): number
                for number, trial in enumerate(trials)
            }
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, numbers: np.ndarray, trial: Trial, episode: Any) -> np.ndarray:  # noqa: ANN401 - an Episode
        scenario, policy = self._scenarios[trial.place], self._policies[trial.place]
        seat = self._seat(trial.place)
        simulation = seat.simulation
        simulation.numbers[0, : len(numbers)] = numbers
        simulation.load(0, episode, key=fold_seed(trial.seed))
        if simulation.state is not seat.opened:
            seat.engine, seat.opened = open_engine(simulation, policy), simulation.state
        run_until(seat.engine, 0, NO_AGENT)
        result = result_of(simulation.state, scenario, policy, episode, trial.split, trial.seed, 0, 0.0)
        outcome = outcome_of(result, blocking=False)
        parts = [outcome.of_class(cls) for cls in range(len(CLASS_NAMES))]
        slo = METRICS["slo_attainment"].compute
        whole = [METRICS[name].compute(outcome) for name in MEASURES[:3]]
        return np.array([*whole, *(slo(part) for part in parts)])

    def _seat(self, place: int) -> _Seat:
        seats: dict[int, _Seat] = self._local.__dict__.setdefault("seats", {})
        if place not in seats:
            scenario = self._scenarios[place]
            warm = scenario.config.workload.initial_placement == "warm"
            seats[place] = _Seat(Simulation(scenario.world, evaluation=True, warm=warm))
        return seats[place]
