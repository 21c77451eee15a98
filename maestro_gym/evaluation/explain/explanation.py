"""All that is found out about one policy, as the picture, the tables and the text take it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maestro_gym.episodes.metrics.outcome import outcome_of
from maestro_gym.episodes.metrics.row import METRICS
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.explain.decisions import Differences, decision_differences
from maestro_gym.evaluation.explain.pairs import Pair, paired_episodes
from maestro_gym.evaluation.explain.workflows import Fate, workflow_fates
from maestro_gym.evaluation.run_info import command_line, machine, now_utc, versions
from maestro_gym.evaluation.statistics import Interval, mean_intervals, paired_differences
from maestro_gym.scheduling.policy import Policy

OUTCOMES = ("slo_attainment", "completion_mean_s", "completion_p95_s", "unfinished")
"""Metrics that say how the policy does beside the reference."""


@dataclass(frozen=True)
class Worth:
    """What a policy loses without one of its numbers, or without one part of them.

    Attributes:
        name: Of the number, or of the part.
        value: The policy's; nan for a part.
        default: The family's; nan for a part.
        unit: Of both; empty for a part.
        slo: SLO attainment with it minus without it, a share of 1.
        completion_s: Mean completion with it minus without it.
        meaning: The number's sentence.
    """

    name: str
    value: float
    default: float
    unit: str
    slo: Interval
    completion_s: Interval
    meaning: str

    @property
    def is_part(self) -> bool:
        """Whether it is a whole part of the numbers and not one of them."""
        return math.isnan(self.value)


@dataclass(frozen=True)
class Measured:
    """One metric of both.

    Attributes:
        metric: A name of `OUTCOMES`.
        policy: Mean over episodes.
        reference: Mean over episodes.
        difference: Policy minus reference, paired.
    """

    metric: str
    policy: Interval
    reference: Interval
    difference: Interval


@dataclass(frozen=True)
class Explanation:
    """What a policy does otherwise than a reference, and what comes of it.

    Attributes:
        policy: Its name.
        reference: The name of the policy that it is held against.
        scenario: Name of the scenario.
        contention: Its level, or its offered load.
        load: Offered load, relative to capacity.
        split: Split of the episodes.
        seeds: Of the episodes.
        measured: How both do, a row each of `OUTCOMES`.
        worths: Numbers, the most valuable first, then parts; empty for a policy without numbers.
        differences: Decisions.
        fates: Workflows.
        command: What was typed.
        created: When, in UTC.
        machine: On what.
        versions: Of everything that the results depend on.
    """

    policy: str
    reference: str
    scenario: str
    contention: str
    load: float
    split: str
    seeds: tuple[int, ...]
    measured: list[Measured]
    worths: list[Worth]
    differences: Differences
    fates: list[Fate]
    command: str
    created: str
    machine: str
    versions: dict[str, str]


def explanation_of(
    scenario: Scenario,
    policy: Policy,
    reference: Policy,
    *,
    split: str,
    seeds: Sequence[int],
    names: tuple[str, str],
    worths: Sequence[Worth] = (),
) -> Explanation:
    """Run the episodes under both and put together what is found.

    Args:
        scenario: Where.
        policy: What is explained.
        reference: What it is held against.
        split: Split of the episodes.
        seeds: One episode each.
        names: How the two are called.
        worths: What the policy's numbers are worth, if it has any.

    Returns:
        The explanation.

    Raises:
        MaestroError: A policy that decides in Python failed.
    """
    pairs = paired_episodes(scenario, policy, reference, split, seeds)
    return Explanation(
        policy=names[0],
        reference=names[1],
        scenario=scenario.config.name,
        contention=pairs[0].reference.contention,
        load=scenario.rate_rps / scenario.capacity_rps,
        split=split,
        seeds=tuple(seeds),
        measured=_measured(pairs),
        worths=list(worths),
        differences=decision_differences([pair.asked for pair in pairs], names[1]),
        fates=workflow_fates(pairs, scenario.workload.application_names),
        command=command_line(),
        created=now_utc(),
        machine=machine(),
        versions=versions(),
    )


def _measured(pairs: Sequence[Pair]) -> list[Measured]:
    mine = _metrics([pair.asked.result for pair in pairs])
    theirs = _metrics([pair.reference for pair in pairs])
    rows = zip(OUTCOMES, mean_intervals(mine), mean_intervals(theirs), paired_differences(mine, theirs), strict=True)
    return [Measured(*row) for row in rows]


def _metrics(results: Sequence[EpisodeResult]) -> np.ndarray:
    """`OUTCOMES` of episodes, shape (metrics, episodes)."""
    outcomes = [outcome_of(result, blocking=False) for result in results]
    return np.array([[METRICS[name].compute(outcome) for outcome in outcomes] for name in OUTCOMES])
