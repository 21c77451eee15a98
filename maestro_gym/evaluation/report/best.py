"""Who may be called best: nobody is it by serving nobody."""

from __future__ import annotations

import math

import numpy as np

from maestro_gym.evaluation.comparison import Comparison, Setting
from maestro_gym.evaluation.report.display import Shown

ENOUGH = 0.9
"""Part of the workflows of whoever finishes most that a policy must finish to be best at anything (choice)."""

_COUNTS_UNSERVED = ("slo_attainment", "unfinished")
"""Metrics to which a workflow that nobody serves is as bad as it is: whoever leads there has earned it."""


def serving(comparison: Comparison, setting: Setting) -> set[str]:
    """The policies that finish enough workflows for their other metrics to mean something.

    A policy that leaves most workflows unserved starts few models, holds little memory and is quick with the few.

    Args:
        comparison: What was found.
        setting: Scenario and contention.
    """
    rows = comparison.rows
    own = rows[(rows["scenario"] == setting.scenario) & (rows["contention"] == setting.contention)]
    done = own.assign(done=own["workflows"] - own["unfinished"])
    means = {str(policy): float(np.mean(rows["done"])) for policy, rows in done.groupby("policy")}
    return {policy for policy, mean in means.items() if mean >= ENOUGH * max(means.values())}


def may_be_best(comparison: Comparison, setting: Setting, shown: Shown) -> set[str]:
    """The policies that may be called best on a metric: all where it counts the unserved, else those of `serving`."""
    if shown.column in _COUNTS_UNSERVED:
        return {policy.name for policy in comparison.policies}
    return serving(comparison, setting)


def best_estimate(comparison: Comparison, setting: Setting, shown: Shown) -> float:
    """The best mean of a metric, nan where none is best: no direction, nothing known, or all alike.

    Args:
        comparison: What was found.
        setting: Scenario and contention.
        shown: The metric.
    """
    able = may_be_best(comparison, setting, shown)
    values = {p.name: comparison.cell(setting, p.name, shown.column).value.estimate for p in comparison.policies}
    known = [value for name, value in values.items() if name in able and math.isfinite(value)]
    if not known or shown.better == "neither" or len(set(filter(math.isfinite, values.values()))) == 1:
        return float("nan")
    return max(known) if shown.better == "higher" else min(known)


def is_best(comparison: Comparison, setting: Setting, policy: str, shown: Shown) -> bool:
    """Whether a policy has the best mean of a metric, and may be called so."""
    best = best_estimate(comparison, setting, shown)
    value = comparison.cell(setting, policy, shown.column).value.estimate
    return policy in may_be_best(comparison, setting, shown) and math.isclose(value, best, rel_tol=1e-9)
