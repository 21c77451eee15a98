"""What the seeds of a comparison can tell: differences beyond them, seeds that would do, and trainings as methods."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from maestro_gym.episodes.metrics.define import metric_of
from maestro_gym.evaluation.comparison import Comparison, Setting
from maestro_gym.evaluation.power import MOST_SEEDS, POWER, seeds_needed, smallest_difference, too_wide
from maestro_gym.evaluation.report.display import SHOWN, Shown, bounds, number
from maestro_gym.evaluation.training_runs import TrainingSummary, summarise

JUDGED = ("slo_attainment", "completion_mean_s")
"""Metrics that decide whether a policy wins or loses."""

POINTS, RELATIVE = 0.02, 0.05
"""Differences that matter (choice): 2 points of a share, a twentieth of a time. Papers of this field claim more."""

_MOST_NAMED = 3


def size_that_matters(comparison: Comparison, setting: Setting, column: str) -> float:
    """The difference to the reference from which on one would care, in the unit of the metric.

    Args:
        comparison: What was found.
        setting: Scenario and contention.
        column: A metric column; a share counts in points, all else relative to the reference.
    """
    if metric_of(column).unit == "1":
        return POINTS
    return RELATIVE * abs(comparison.cell(setting, comparison.reference, column).value.estimate)


def power_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """What the seeds can tell: a row for every setting, policy beside the reference, and judged metric."""
    return [
        {
            "scenario": setting.scenario,
            "contention": setting.contention,
            "policy": policy,
            "metric": column,
            "probability_better": _share_better(gaps, metric_of(column).better),
            "difference_that_matters": size_that_matters(comparison, setting, column),
            "seeds_needed": seeds_needed(gaps, size_that_matters(comparison, setting, column)),
            "smallest_difference": smallest_difference(gaps),
            "power": POWER,
        }
        for setting, policy, column, gaps in _differences(comparison)
    ]


def too_few_seeds(comparison: Comparison, setting: Setting, shown: Shown) -> str:
    """A sentence about the policies whose interval is too wide to tell, nothing where there is none.

    Args:
        comparison: What was found.
        setting: Scenario and contention.
        shown: The metric.
    """
    count = len(comparison.seeds)
    size = size_that_matters(comparison, setting, shown.column)
    if count < 2 or not size > 0:
        return ""
    wide: list[tuple[int, str]] = []
    for _, policy, _, gaps in _differences(comparison, setting, shown.column):
        difference = comparison.cell(setting, policy, shown.column).difference
        needed = seeds_needed(gaps, size)
        if needed is not None and math.isfinite(difference.low) and too_wide(difference, size):
            side = number((difference.high - difference.low) / 2 * shown.scale)
            most = f"{needed:,} or more" if needed >= MOST_SEEDS else f"about {max(needed, count + 1):,}"
            wide.append((needed, f"{policy} (±{side}; {most} seeds would do)"))
    if not wide:
        return ""
    wide.sort(key=lambda found: found[0])
    named = "; ".join(words for _, words in wide[:_MOST_NAMED])
    more = f"; and {len(wide) - _MOST_NAMED} more" if len(wide) > _MOST_NAMED else ""
    unit = "points" if shown.scale == 100.0 else "s"
    return (
        f"{setting.scenario}, {setting.contention}: {count} seeds are too few to tell {number(size * shown.scale)} "
        f"{unit} of {shown.words} from none between {comparison.reference} and {named}{more}."
    )


def training_summaries(comparison: Comparison) -> list[TrainingSummary]:
    """Trainings of which several seeds take part, on the judged metrics; see `training_runs`."""
    groups: dict[str, list[str]] = {}
    for policy in comparison.policies:
        if policy.training is not None:
            groups.setdefault(policy.training, []).append(policy.name)
    found = []
    for names in (tuple(names) for names in groups.values() if len(names) > 1):
        for column in JUDGED:
            scores = np.array([_scores(comparison, name, column) for name in names])
            reference = _scores(comparison, comparison.reference, column)
            if comparison.reference not in names and np.isfinite(scores).all() and np.isfinite(reference).all():
                found.append(summarise(names, column, scores, reference, better=metric_of(column).better))
    return found


def training_lines(comparison: Comparison) -> list[str]:
    """A sentence for every training of which several seeds take part, and judged metric."""
    lines = []
    for summary in training_summaries(comparison):
        shown = SHOWN[summary.column]
        unit = "%" if shown.scale == 100.0 else "s"
        chance = summary.improvement
        lines.append(
            f"{', '.join(summary.runs)} are {len(summary.runs)} seeds of one training: interquartile mean of "
            f"{shown.words} {number(summary.iqm.estimate * shown.scale)} {unit} {bounds(summary.iqm, shown.scale)}; "
            f"with probability {number(chance.estimate)} {bounds(chance, 1.0)} a run of it is better than "
            f"{comparison.reference}."
        )
    return lines


def training_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """The same as numbers, with the performance profile."""
    return [
        {
            "policies": list(summary.runs),
            "metric": summary.column,
            "iqm": vars(summary.iqm),
            "probability_of_improvement": vars(summary.improvement),
            "profile": {name: values.tolist() for name, values in vars(summary.profile).items()},
        }
        for summary in training_summaries(comparison)
    ]


def _differences(
    comparison: Comparison, only: Setting | None = None, column: str | None = None
) -> Iterator[tuple[Setting, str, str, np.ndarray]]:
    for setting in comparison.settings if only is None else [only]:
        reference = comparison.values(setting, comparison.reference)
        for policy in comparison.policies:
            if policy.name == comparison.reference:
                continue
            own = comparison.values(setting, policy.name)
            for name in JUDGED if column is None else (column,):
                gaps = own[name].to_numpy(dtype=float) - reference[name].to_numpy(dtype=float)
                yield setting, policy.name, name, gaps


def _share_better(gaps: np.ndarray, better: str) -> float:
    """Share of the seeds on which a policy beats the reference; a tie counts half, nan is left out."""
    known = gaps[np.isfinite(gaps)] * (1.0 if better == "higher" else -1.0)
    return float(((known > 0) + 0.5 * (known == 0)).mean()) if len(known) else float("nan")


def _scores(comparison: Comparison, policy: str, column: str) -> np.ndarray:
    return np.array([comparison.values(setting, policy)[column].mean() for setting in comparison.settings], dtype=float)
