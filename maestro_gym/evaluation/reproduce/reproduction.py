"""What a reproduction came to: every claim held against what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maestro_gym.episodes.metrics.stages import TTFT_GRID_S
from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.reproduce.claims import CLAIMS, Claim, Condition
from maestro_gym.evaluation.reproduce.judge import POINT, Outcome, Verdict, judge, outcome_of
from maestro_gym.evaluation.reproduce.measure import Measure, measured, points
from maestro_gym.evaluation.reproduce.plan import Axis, Part
from maestro_gym.evaluation.statistics import Interval

THRESHOLDS = Axis("TTFT threshold", "within which the first token must come [s], for all applications", "", ())
"""A sweep that needs no run: every comparison counts first tokens within each threshold."""


@dataclass(frozen=True)
class Reading:
    """One condition of a claim, measured and held against the figure."""

    condition: Condition
    interval: Interval
    outcome: Outcome


@dataclass(frozen=True)
class SweptCell:
    """One measure at one point of a sweep."""

    axis: Axis
    value: float
    words: str
    interval: Interval
    outcome: Outcome

    @property
    def name(self) -> str:
        """Words for verdicts."""
        return f"{self.words}{POINT}{self.axis.name} {self.value:g}"


@dataclass(frozen=True)
class Judged:
    """A claim with all its readings and its verdict."""

    claim: Claim
    readings: tuple[Reading, ...]
    swept: tuple[SweptCell, ...]
    verdict: Verdict


@dataclass(frozen=True)
class Reproduction:
    """What was found.

    Attributes:
        judged: Every claim.
        axes: The sweeps.
        parts: What was compared.
        absent: Policies of the plan that this version lacks.
        info: Command, versions, commit, machine, times.
    """

    judged: list[Judged]
    axes: list[Axis]
    parts: list[Part]
    absent: list[str]
    info: dict[str, Any] = field(default_factory=dict)


def judge_all(found: Mapping[str, Comparison], elsewhere: Mapping[str, Interval], axes: Sequence[Axis]) -> list[Judged]:
    """Hold every claim against what was measured.

    Args:
        found: Comparisons of one setting each, by name.
        elsewhere: What no comparison measures, by the name of its measure.
        axes: The sweeps.
    """
    judged = []
    for claim in CLAIMS:

        def look(measure: Measure, part: str, claim: Claim = claim) -> tuple[Interval, Outcome]:
            interval = measured(measure, part, found, elsewhere)
            return interval, outcome_of(claim, interval, is_level=measure.is_level)

        readings = tuple(Reading(c, *look(c.measure, c.part)) for c in claim.conditions)
        swept = tuple(
            SweptCell(axis, value, words, *look(measure, part))
            for axis in axes
            for value, part in axis.points
            for words, measure in claim.swept
        )
        swept += tuple(
            SweptCell(THRESHOLDS, limit_s, words, *look(points(f"ttft_within_{limit_s}_s", rival), part))
            for words, part, rival in claim.by_threshold
            for limit_s in TTFT_GRID_S
        )
        verdict = judge(
            [(reading.condition.words, reading.outcome) for reading in readings if reading.condition.is_claimed],
            [(cell.name, cell.outcome) for cell in swept],
        )
        judged.append(Judged(claim, readings, swept, verdict))
    return judged
