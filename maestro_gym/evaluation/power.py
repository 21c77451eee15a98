"""How many seeds a difference needs, and when an interval is too wide to tell anything.

The spread of paired differences over the seeds that were run says how many seeds would tell a difference of a given
size from none: a paired t-test at 5 %, two-sided, that misses it in one case of five (Cohen, "Statistical Power
Analysis for the Behavioral Sciences", 1988, section 2.4, with the noncentral t distribution).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from maestro_gym.evaluation.statistics import CONFIDENCE, Interval

POWER = 0.8
"""Probability of seeing a difference that is there, by Cohen's convention."""

MOST_SEEDS = 10_000
"""Beyond this many seeds the answer is that many and more."""

_MIDDLES = (np.arange(1000) + 0.5) / 1000
_HALVINGS = 30


def power_of(size: float, spread: float, seeds: int) -> float:
    """Probability that a paired t-test tells a difference from none.

    Args:
        size: The true mean difference.
        spread: Standard deviation of the differences between seeds, in the same unit.
        seeds: Seeds that are run, at least two.
    """
    if spread <= 0:
        return float(size != 0)
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, seeds - 1)
    shift = abs(size) / spread * math.sqrt(seeds)
    # The noncentral t as a normal shifted by chance, given the spread that is estimated: it stays exact where the
    # library's own function runs out of digits.
    bound = quantile * np.sqrt(stats.chi2.ppf(_MIDDLES, seeds - 1) / (seeds - 1))
    return float((stats.norm.sf(bound - shift) + stats.norm.cdf(-bound - shift)).mean())


def seeds_needed(differences: np.ndarray, size: float) -> int | None:
    """Seeds that would tell a mean difference of a given size from none.

    Args:
        differences: float, shape (seeds,): paired differences so far; nan = not measured.
        size: The difference that matters, above 0, in the same unit.

    Returns:
        The number, `MOST_SEEDS` where it is that or more; None with fewer than two known differences, whose spread
        nobody knows. A spread from few seeds is itself uncertain: with five, the number may be off by a factor of
        three either way.
    """
    known = differences[np.isfinite(differences)]
    if len(known) < 2:
        return None
    spread = float(known.std(ddof=1))
    low, high = 2, 2
    while power_of(size, spread, high) < POWER:
        if high >= MOST_SEEDS:
            return MOST_SEEDS
        low, high = high + 1, min(2 * high, MOST_SEEDS)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(size, spread, middle) >= POWER else (middle + 1, high)
    return low


def smallest_difference(differences: np.ndarray) -> float:
    """The least mean difference that as many seeds as were run tell from none, with the same power.

    Args:
        differences: float, shape (seeds,): paired differences; nan = not measured.

    Returns:
        In the unit of the differences; nan with fewer than two.
    """
    known = differences[np.isfinite(differences)]
    if len(known) < 2:
        return float("nan")
    spread = float(known.std(ddof=1))
    if spread <= 0:
        return 0.0
    low, high = 0.0, spread
    while power_of(high, spread, len(known)) < POWER:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if power_of(middle, spread, len(known)) >= POWER else (middle, high)
    return high


def too_wide(difference: Interval, size: float) -> bool:
    """Whether an interval tells neither that there is a difference nor that it is smaller than what matters.

    Args:
        difference: A paired difference.
        size: The difference that matters, above 0.
    """
    return not difference.excludes_zero and not (-size < difference.low and difference.high < size)
