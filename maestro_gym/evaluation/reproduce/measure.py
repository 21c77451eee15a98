"""From comparisons to the interval that a claim is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import pandas as pd

from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.statistics import Interval, mean_intervals, paired_differences, relative_change

Kind = Literal["points", "change", "level", "study", "latency"]

UNKNOWN = Interval(float("nan"), float("nan"), float("nan"), 0)
"""Of what was not measured."""


@dataclass(frozen=True)
class Measure:
    """What is taken from a comparison.

    Attributes:
        kind: What is made of it: the difference of two shares in points, the relative change of a mean in per cent,
            or a mean (level); study and latency are measured elsewhere and found by ``name``.
        column: A metric column, or a name of `DERIVED`.
        policy: Whose value counts.
        reference: Whom it is held against; empty for a level.
        scale: What a level is multiplied by.
        reference_part: The comparison in which the reference ran, on the same seeds; empty: the same.
    """

    kind: Kind
    column: str
    policy: str = "maestro"
    reference: str = ""
    scale: float = 1.0
    reference_part: str = ""

    @property
    def name(self) -> str:
        """How what is measured elsewhere is found."""
        return f"{self.kind} {self.column} {self.reference}".rstrip()

    @property
    def is_level(self) -> bool:
        """Whether it is a level, of which zero is nothing special."""
        return self.kind in ("level", "latency")

    def against(self, part: str) -> Self:
        """The same against a reference that ran in another comparison.

        Args:
            part: Its name.
        """
        return replace(self, reference_part=part)


def points(column: str, reference: str) -> Measure:
    """Maestro's share less the reference's, in points."""
    return Measure("points", column, reference=reference)


def change(column: str, reference: str) -> Measure:
    """Change of Maestro's mean relative to the reference's, in per cent."""
    return Measure("change", column, reference=reference)


def level(column: str, *, scale: float = 1.0) -> Measure:
    """Maestro's mean."""
    return Measure("level", column, scale=scale)


def _unlimited(table: pd.DataFrame) -> np.ndarray:
    """Longest contexts over mapped bytes; the former are reserved / (1 - saving), the latter ratio x reserved."""
    saving, ratio = (table[name].to_numpy(dtype=float) for name in ("kv_saving_static_max", "kv_used_ratio"))
    return 1.0 / ((1.0 - saving) * ratio)


DERIVED = {"kv_overcommit_unlimited": _unlimited}
"""Columns that follow from metrics."""


def measured(
    measure: Measure, part: str, found: Mapping[str, Comparison], elsewhere: Mapping[str, Interval]
) -> Interval:
    """Take a measure.

    Args:
        measure: What is taken.
        part: The comparison that is looked at.
        found: Comparisons of one setting each, by name.
        elsewhere: What no comparison measures, by `Measure.name`.

    Returns:
        The interval over seeds; `UNKNOWN` where the comparison or a policy of it was not run.
    """
    if measure.kind in ("study", "latency"):
        return elsewhere.get(measure.name, UNKNOWN)
    own = _values(measure, measure.policy, found.get(part))
    if own is None:
        return UNKNOWN
    if measure.kind == "level":
        return mean_intervals(own * measure.scale)[0]
    theirs = _values(measure, measure.reference, found.get(measure.reference_part or part))
    if theirs is None or len(theirs) != len(own):
        return UNKNOWN
    if measure.kind == "points":
        return paired_differences(100.0 * own, 100.0 * theirs)[0]
    interval = relative_change(own, theirs)
    return Interval(100.0 * interval.estimate, 100.0 * interval.low, 100.0 * interval.high, interval.n)


def _values(measure: Measure, policy: str, comparison: Comparison | None) -> np.ndarray | None:
    """Values by seed, None where the policy did not run."""
    if comparison is None or policy not in {label.name for label in comparison.policies}:
        return None
    (setting,) = comparison.settings
    table = comparison.values(setting, policy)
    column = DERIVED[measure.column](table) if measure.column in DERIVED else table[measure.column]
    return np.asarray(column, dtype=float)
