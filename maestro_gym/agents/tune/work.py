"""What one trial does, by verb: it trains a policy, searches the numbers of one, or takes one as it is.

Whatever a trial has made is judged alike: by whole validation episodes of the study's own seeds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import BaseModel
from rich.console import Console

from maestro_gym.agents.load import load_any_policy
from maestro_gym.agents.search.objective import measures_of
from maestro_gym.agents.search.search import run_search
from maestro_gym.agents.train import resolved_training, train_in
from maestro_gym.agents.tune.values import Value, corners, words_of
from maestro_gym.agents.validation import FLEET_METRICS, METRICS
from maestro_gym.baselines.registry import demand_trust_of
from maestro_gym.config import ScenarioConfig, load_scenario, load_search
from maestro_gym.config.search import SearchConfig
from maestro_gym.config.tune import TuneConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.threads import usable_cores
from maestro_gym.episodes.metrics.row import metric_of, result_row
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.entrants import own_limits
from maestro_gym.scheduling.policy import Policy
from maestro_gym.state import CLASS_NAMES

Report = Callable[[int, float], None]
"""Hears of a step and what the metric was there; it raises where the trial is given up."""

DEFAULT_SCENARIO = "quick"


@dataclass(frozen=True)
class Place:
    """Where a policy is judged.

    Attributes:
        scenario: Ready to run.
        weight: Its share, relative to the other places.
    """

    scenario: Scenario
    weight: float = 1.0


class Work(ABC):
    """The trials of one verb."""

    def __init__(self, config: TuneConfig, source: str, *, trust: bool) -> None:
        """Take the settings of a study.

        Args:
            config: The settings.
            source: The file that they come from, for errors.
            trust: Whether Python files that the settings name may be run.
        """
        self.config, self._source, self._trust = config, source, trust

    def check(self) -> None:
        """Refuse before the first trial whatever no value could mend.

        Raises:
            MaestroError: There is no such setting, value or policy, or a Python file is not trusted.
        """
        for values in [{}, *corners(self.config.vary)]:
            self.resolve(values)

    @abstractmethod
    def resolve(self, values: Mapping[str, Value]) -> BaseModel:
        """What the verb is told with some values, complete and checked; it can be dumped and loaded again.

        Args:
            values: Value by dotted place; what is left out stays as it is.

        Raises:
            MaestroError: There is no such setting, or its value is bad.
        """

    @abstractmethod
    def run(self, values: Mapping[str, Value], folder: Path, report: Report) -> float:
        """Do a trial, or go on with one that was stopped.

        Args:
            values: Value by dotted place.
            folder: What the trial makes lies there; it may not be there yet.
            report: Told how it goes underway.

        Returns:
            The study's metric on its validation episodes.
        """

    @abstractmethod
    def told_underway(self) -> Sequence[str] | None:
        """Metrics that a pruner can go by before a trial has ended; None: every one."""

    def _words(self, values: Mapping[str, Value]) -> list[str]:
        return [*self.config.overrides, *words_of(values)]

    def _load(self, policy: str, scenario: Scenario) -> Policy:
        return load_any_policy(policy, scenario, named_in=f"{self._source}: policy", trust=self._trust)

    def _judged(self, policy: str, places: Sequence[Place], report: Report | None = None) -> float:
        """The metric of a policy on the study's validation episodes, the weighted mean over the places.

        ``report`` hears the mean so far after every seed, or with the Wilcoxon test the episode's own value.
        """
        seeds, weights = self.config.seeds, [place.weight for place in places]
        policies = [self._load(policy, place.scenario) for place in places]

        def run(seed: int) -> float:
            rows = [
                result_row(run_episode(place.scenario, who, "validation", seed, samples=0))
                for place, who in zip(places, policies, strict=True)
            ]
            return float(np.average([float(row[self.config.metric]) for row in rows], weights=weights))

        found: list[float] = []
        pool = ThreadPoolExecutor(usable_cores())
        try:
            for step, value in enumerate(pool.map(run, seeds)):
                found.append(value)
                if report is not None and np.isfinite(found).any():
                    report(step, value if self.config.pruner == "wilcoxon" else float(np.nanmean(found)))
        finally:
            pool.shutdown(cancel_futures=True)
        if not np.isfinite(found).any():
            raise MaestroError(
                f"tune.metric: {self.config.metric} cannot be measured in any of the validation episodes of seeds "
                f"{seeds}; name another column of docs/metrics.md, or a longer horizon_s."
            )
        return float(np.nanmean(found))


class ComparedPolicy(Work):
    """Runs one policy under changing settings of the scenario."""

    def check(self) -> None:
        """Load the policy, too."""
        super().check()
        self._load(self._policy, self._unchanged)

    def resolve(self, values: Mapping[str, Value]) -> ScenarioConfig:
        """The scenario."""
        return load_scenario(self._scenario, self._at_the_same_rate(self._words(values)))

    def run(self, values: Mapping[str, Value], folder: Path, report: Report) -> float:
        """Run the validation episodes."""
        words = self._at_the_same_rate(self._words(values))
        place = Place(Scenario.load(self._scenario, words))
        return self._judged(self._policy, [place], report)

    def told_underway(self) -> None:
        """Every metric, an episode after the other."""

    @property
    def _policy(self) -> str:
        return self.config.policy or "maestro"

    @property
    def _scenario(self) -> str:
        return self.config.scenario or DEFAULT_SCENARIO

    def _at_the_same_rate(self, words: list[str]) -> list[str]:
        """Words that keep the arrivals of the unchanged scenario, unless what varies is the workload itself.

        Offered load is relative to a capacity that limits and fleet change: trials would meet other episodes.
        """
        paths = [varied.path.split(".")[0] for varied in self.config.vary]
        if all(part in ("limits", "fleet", "hosts", "gpus", "predictor") for part in paths):
            return [*words, f"workload.rate_rps={self._unchanged.rate_rps!r}"]
        return words

    @cached_property
    def _unchanged(self) -> Scenario:
        return Scenario.load(self._scenario, self.config.overrides)


class TrainedPolicy(Work):
    """Trains a policy."""

    def resolve(self, values: Mapping[str, Value]) -> ScenarioConfig:
        """The scenario, with the settings of the training."""
        return resolved_training(
            self.config.scenario or DEFAULT_SCENARIO,
            self.config.config,
            overrides=self._words(values),
            trust=self._trust,
        )

    def run(self, values: Mapping[str, Value], folder: Path, report: Report) -> float:
        """Train in the folder, then run the validation episodes under the policy that was kept."""
        resolved = self.resolve(values)

        def watch(steps: int, means: Mapping[str, float]) -> None:
            if steps and self.config.pruner != "none":
                report(steps // resolved.train.eval_every_steps, means[self.config.metric])

        train_in(folder, resolved, resume=True, console=Console(quiet=True), progress=False, watch=watch)
        return self._judged(str(folder), [Place(Scenario(resolved))])

    def told_underway(self) -> list[str]:
        """What a training measures when it validates."""
        return [*METRICS, *(f"{name}_{cls}" for name in METRICS for cls in CLASS_NAMES), *FLEET_METRICS]


class SearchedPolicy(Work):
    """Searches the numbers of a policy."""

    def resolve(self, values: Mapping[str, Value]) -> SearchConfig:
        """The settings of the search."""
        config = load_search(self.config.config or "quick", self._words(values))
        for name, spec in (("family", config.family), ("reference", config.reference)):
            demand_trust_of(spec, f"{self._source}: {name}", trust=self._trust)
        return config

    def run(self, values: Mapping[str, Value], folder: Path, report: Report) -> float:
        """Search in the folder, then run the validation episodes under the numbers that were kept."""
        config = self.resolve(values)

        def watch(generation: int, validation: Mapping[str, tuple[float, float]]) -> None:
            if self.config.pruner != "none":
                report(generation // config.validate_every, validation[self.config.metric][0])

        run_search(config, resume=folder, console=Console(quiet=True), watch=watch, progress=False)
        limits = own_limits(str(folder))
        scenarios = [Scenario.load(place.scenario, place.overrides) for place in config.places]
        places = [
            Place(scenario.under(limits) if limits else scenario, place.weight)
            for scenario, place in zip(scenarios, config.places, strict=True)
        ]
        return self._judged(str(folder), places)

    def told_underway(self) -> Sequence[str]:
        """What the objective of the search needs of an episode."""
        return measures_of(self.resolve({}).objective)


WORK: dict[str, type[Work]] = {"compare": ComparedPolicy, "train": TrainedPolicy, "search": SearchedPolicy}
"""By verb."""


def work_of(config: TuneConfig, source: str, *, trust: bool) -> Work:
    """What the trials of a study do, checked.

    Args:
        config: Settings of the study.
        source: The file that they come from.
        trust: Whether Python files that they name may be run.

    Raises:
        MaestroError: The metric does not exist or is not one to go by; or as `Work.check`.
    """
    if metric_of(config.metric).better == "neither":
        raise MaestroError(
            f"{source}: metric: neither more nor less of {config.metric} is better; name another column of "
            "docs/metrics.md."
        )
    work = WORK[config.verb](config, source, trust=trust)
    known = work.told_underway()
    if config.pruner != "none" and known is not None and config.metric not in known:
        raise MaestroError(
            f"{source}: pruner: {config.verb} does not measure {config.metric} underway, so nothing can be given up by "
            f"it. Take pruner=none, or one of: {', '.join(known)}."
        )
    work.check()
    return work
