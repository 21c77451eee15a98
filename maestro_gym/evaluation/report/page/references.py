"""Differences to whatever reference the reader picks."""

from __future__ import annotations

import numpy as np

from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.report.display import SHOWN, Shown, bounds, headline, number
from maestro_gym.evaluation.report.page.answer import hardest, standings
from maestro_gym.evaluation.statistics import Interval, paired_differences

MOST_REFERENCES = 8
"""Each costs a bootstrap of every policy, metric and setting; further ones are the worst of the table."""


def references(comparison: Comparison) -> list[str]:
    """Who can be picked: the reference itself, then the learned ones, then the best by SLO attainment."""
    ranked = [s.policy for s in standings(comparison, hardest(comparison), SHOWN["slo_attainment"])]
    ranked += [policy for policy in comparison.policies if policy not in ranked]
    first = [comparison.reference, *(p.name for p in ranked if p.learned), *(p.name for p in ranked)]
    return list(dict.fromkeys(first))[:MOST_REFERENCES]


def differences(comparison: Comparison) -> list[dict[str, dict[str, list[list[str]]]]]:
    """What cells of the table say of the difference to each reference.

    Args:
        comparison: What was found.

    Returns:
        For each setting, by reference and policy: for each column of the table, the difference with its interval in
        words, and "better", "worse" or nothing; nothing at all for the reference itself.
    """
    shown_columns = headline(comparison.rows)
    columns = [shown.column for shown in shown_columns]
    found = []
    for setting in comparison.settings:
        tables = {p.name: comparison.values(setting, p.name)[columns].to_numpy(float).T for p in comparison.policies}
        everyone = np.concatenate(list(tables.values()))
        by_reference: dict[str, dict[str, list[list[str]]]] = {}
        for reference in references(comparison):
            gaps = iter(paired_differences(everyone, np.tile(tables[reference], (len(tables), 1))))
            cells = {name: [_cell(next(gaps), shown) for shown in shown_columns] for name in tables}
            del cells[reference]
            by_reference[reference] = cells
        found.append(by_reference)
    return found


def _cell(gap: Interval, shown: Shown) -> list[str]:
    words = f"{number(gap.estimate * shown.scale, signed=True)}\n{bounds(gap, shown.scale)}".rstrip()
    if not gap.excludes_zero or shown.better == "neither":
        return [words, ""]
    return [words, "better" if (gap.estimate > 0) == (shown.better == "higher") else "worse"]
