"""Trials on workers, which have no part of this process: each makes the evaluator of a policy once, from names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from maestro_gym.agents.search.evaluate import Evaluator, Trial
from maestro_gym.baselines import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.workers.workers import Workers
from maestro_gym.scheduling.policy import Policy

Named = tuple[str, tuple[str, ...]]
"""A scenario by name or file, and its overrides."""


@dataclass(frozen=True)
class Source:
    """From what an evaluator is made.

    Attributes:
        places: Its scenarios.
        homes: For which scenarios the policy is loaded, in their order.
        spec: What names the policy.
        measures: Metrics of an episode that are wanted.
    """

    places: tuple[Named, ...]
    homes: tuple[Named, ...]
    spec: str
    measures: tuple[str, ...]


@dataclass(frozen=True)
class _Task:
    source: Source
    numbers: np.ndarray
    limits: tuple[str, ...]
    trial: Trial


class RemoteEvaluator:
    """Runs trials as an `Evaluator` does, on workers."""

    def __init__(self, source: Source, workers: Workers) -> None:
        """Join the two.

        Args:
            source: From what each worker makes its evaluator.
            workers: Who runs the trials.
        """
        self._source, self._workers = source, workers

    def run(
        self, candidates: np.ndarray, trials: Sequence[Trial], limits: Sequence[tuple[str, ...]] | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Run trials, in any order; see `Evaluator.run`."""
        limits = limits or [()] * len(candidates)
        tasks = [_Task(self._source, candidates[trial.candidate], limits[trial.candidate], trial) for trial in trials]
        yield from self._workers.run(_run_task, tasks, _name)


def loaded(spec: str, scenarios: Sequence[Scenario]) -> list[Policy]:
    """A policy for every place, its code trusted by now.

    There is one for all places of a scenario, since a rule from a file is compiled each time.
    """
    by_name = {scenario.config.name: scenario for scenario in scenarios}
    policies = {name: load_policy(spec, scenario, trust=True) for name, scenario in by_name.items()}
    return [policies[scenario.config.name] for scenario in scenarios]


@lru_cache(maxsize=8)
def _evaluator(source: Source) -> Evaluator:
    scenarios, homes = ([Scenario.load(*place) for place in places] for places in (source.places, source.homes))
    return Evaluator(scenarios, loaded(source.spec, homes), source.measures)


def _run_task(task: _Task) -> np.ndarray:
    return _evaluator(task.source).run_one(task.numbers, task.limits, task.trial)


def _name(task: _Task) -> str:
    trial, source = task.trial, task.source
    return f"candidate {trial.candidate} of {source.spec} on {source.places[trial.place][0]}, seed {trial.seed}"
