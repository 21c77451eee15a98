"""Intervals: paired bootstrap over evaluation seeds, stratified bootstrap of the IQM over training seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 10_000
FEW_SEEDS = 5
"""Below this many seeds an interval is little more than the range of the values; tables say so."""

_BATCH = 500


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        estimate: The mean, or whatever the interval is of.
        low: Lower end, nan when fewer than two values are known.
        high: Upper end.
        n: Values that went in.
    """

    estimate: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0.0 or self.high < 0.0


def mean_intervals(values: np.ndarray, *, rng_seed: int = 0) -> list[Interval]:
    """Means over seeds with expanded-percentile bootstrap intervals, one a row.

    The plain percentile interval is too narrow for few seeds, by about sqrt((n - 1) / n) and the gap
    between normal and Student quantiles; its level is widened to make up for both (Hesterberg, "What
    Teachers Should Know about the Bootstrap", The American Statistician 69 (2015), section 3.5).

    Args:
        values: float, shape (rows, seeds) or (seeds,); nan = not measured, left out of its row.
        rng_seed: Seed of the resampling; the same values give the same interval.

    Returns:
        One interval a row.
    """
    table = np.atleast_2d(np.asarray(values, dtype=float))
    known = np.isfinite(table)
    intervals: list[Interval] = [Interval(float("nan"), float("nan"), float("nan"), 0)] * len(table)
    # Rows with the same seeds missing are resampled together, in one vectorised call.
    for pattern in np.unique(known, axis=0):
        rows = np.flatnonzero((known == pattern).all(axis=1))
        for row, interval in zip(rows, _bootstrap_means(table[rows][:, pattern], rng_seed), strict=True):
            intervals[row] = interval
    return intervals


def paired_differences(values: np.ndarray, reference: np.ndarray, *, rng_seed: int = 0) -> list[Interval]:
    """Mean differences to a reference on the same seeds, with intervals; one a row.

    Pairing takes the difference between seeds, which is usually far larger than the difference between
    policies, out of the interval.

    Args:
        values: float, shape (rows, seeds) or (seeds,).
        reference: The reference policy's values, same shape and same seeds.
        rng_seed: Seed of the resampling.
    """
    return mean_intervals(np.asarray(values, dtype=float) - np.asarray(reference, dtype=float), rng_seed=rng_seed)


def relative_change(values: np.ndarray, reference: np.ndarray, *, rng_seed: int = 0) -> Interval:
    """Change of a mean relative to that of a reference on the same seeds, mean(values) / mean(reference) - 1.

    Seeds are resampled in pairs; the level is widened for few seeds as in `mean_intervals`.

    Args:
        values: float, shape (seeds,); nan = not measured, left out with its pair.
        reference: The reference's values, same shape and same seeds.
        rng_seed: Seed of the resampling.

    Returns:
        The change, such as -0.3 for 30 % less; nan where nothing is known or the reference is 0.
    """
    own, its = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    known = np.isfinite(own) & np.isfinite(its)
    own, its = own[known], its[known]
    nan = float("nan")
    if not len(own) or its.mean() == 0.0:
        return Interval(nan, nan, nan, len(own))
    estimate = float(own.mean() / its.mean() - 1.0)
    if len(own) < 2:
        return Interval(estimate, nan, nan, len(own))
    chosen = np.random.default_rng(rng_seed).integers(len(own), size=(RESAMPLES, len(own)))
    base = its[chosen].mean(axis=1)
    found = own[chosen].mean(axis=1)[base != 0.0] / base[base != 0.0] - 1.0
    tail = 50 * (1 - expanded_level(len(own)))
    low, high = np.percentile(found, (tail, 100 - tail))
    return Interval(estimate, float(low), float(high), len(own))


def iqm_interval(scores: np.ndarray, *, rng_seed: int = 0) -> Interval:
    """Interquartile mean over training seeds and tasks, with a stratified bootstrap interval.

    The mean of the middle half of all scores; runs are resampled within each task (Agarwal et al.,
    "Deep RL at the Edge of the Statistical Precipice", NeurIPS 2021).

    Args:
        scores: float, shape (training seeds, tasks) or (training seeds,).
        rng_seed: Seed of the resampling.
    """
    table = np.asarray(scores, dtype=float)
    table = table[:, None] if table.ndim == 1 else table
    estimate = float(stats.trim_mean(table.ravel(), 0.25))
    if len(table) < 2:
        return Interval(estimate, float("nan"), float("nan"), table.size)
    if (table == table[0]).all():
        return Interval(estimate, estimate, estimate, table.size)

    def iqm(*tasks: np.ndarray, axis: int = -1) -> np.ndarray:
        return stats.trim_mean(np.concatenate(tasks, axis=axis), 0.25, axis=axis)

    found = stats.bootstrap(
        tuple(table.T),
        iqm,
        vectorized=True,
        method="percentile",
        n_resamples=RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(rng_seed),
    ).confidence_interval
    return Interval(estimate, float(found.low), float(found.high), table.size)


def expanded_level(n: int) -> float:
    """Level of a percentile interval that covers 95 % with n values (Hesterberg 2015).

    Args:
        n: Values, at least two.
    """
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.sqrt(n / (n - 1))
    return float(1 - 2 * stats.norm.cdf(-quantile))


def _bootstrap_means(table: np.ndarray, rng_seed: int) -> list[Interval]:
    n = table.shape[1]
    if n < 2:
        return [Interval(float(row.mean()) if n else float("nan"), float("nan"), float("nan"), n) for row in table]
    found = stats.bootstrap(
        (table,),
        np.mean,
        axis=-1,
        vectorized=True,
        method="percentile",
        confidence_level=expanded_level(n),
        n_resamples=RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(rng_seed),
    ).confidence_interval
    means, lows, highs = table.mean(axis=-1), found.low, found.high
    return [Interval(float(m), float(lo), float(hi), n) for m, lo, hi in zip(means, lows, highs, strict=True)]
