"""Intervals over seeds: what they cover, and what they leave to the pairing."""

import numpy as np
import pytest
from scipy import stats

from maestro_gym.evaluation.statistics import (
    expanded_level,
    iqm_interval,
    mean_intervals,
    paired_differences,
    relative_change,
)


def test_the_same_values_give_the_same_interval() -> None:
    values = np.random.default_rng(3).normal(size=(4, 8))
    assert mean_intervals(values) == mean_intervals(values)


def test_identical_values_give_an_interval_of_no_width() -> None:
    (interval,) = mean_intervals(np.full(6, 2.5))
    assert (interval.estimate, interval.low, interval.high, interval.n) == (2.5, 2.5, 2.5, 6)


def test_one_seed_gives_an_estimate_without_an_interval() -> None:
    (interval,) = mean_intervals(np.array([3.0]))
    assert interval.estimate == 3.0
    assert np.isnan(interval.low)
    assert not interval.excludes_zero


def test_unmeasured_seeds_are_left_out_of_their_row_only() -> None:
    first, second, third = mean_intervals(np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0], [np.nan] * 3]))
    assert (first.estimate, first.n) == (2.0, 2)
    assert (second.estimate, second.n) == (2.0, 3)
    assert np.isnan(third.estimate)
    assert third.n == 0


def test_pairing_sees_a_small_difference_under_a_large_spread_of_seeds() -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(0.0, 50.0, size=10)
    reference, better = level, level - 1.0 + rng.normal(0.0, 0.2, size=10)
    (difference,) = paired_differences(better, reference)
    assert difference.excludes_zero
    assert difference.low < -1.0 < difference.high
    assert mean_intervals(better)[0].high > mean_intervals(reference)[0].low  # unpaired, they overlap


def test_intervals_cover_the_truth_about_95_times_in_100_also_with_few_seeds() -> None:
    values = np.random.default_rng(1).normal(size=(2000, 5))
    covered = np.mean([interval.low <= 0.0 <= interval.high for interval in mean_intervals(values)])
    assert 0.92 < covered < 0.98


def test_the_level_widens_for_few_values_and_tends_to_95_percent() -> None:
    assert expanded_level(3) > expanded_level(10) > 0.95
    assert expanded_level(100_000) == pytest.approx(0.95, abs=1e-4)


def test_iqm_is_the_mean_of_the_middle_half_and_lies_in_its_interval() -> None:
    scores = np.random.default_rng(2).normal(size=(6, 4))
    interval = iqm_interval(scores)
    assert interval.estimate == pytest.approx(np.sort(scores.ravel())[6:18].mean())
    assert interval.low < interval.estimate < interval.high


def test_iqm_resamples_runs_within_each_task() -> None:
    # Tasks far apart, runs all alike: resampling runs cannot move the estimate, resampling tasks would.
    scores = np.tile([0.0, 100.0, 200.0, 300.0], (5, 1))
    interval = iqm_interval(scores)
    assert interval.low == interval.high == pytest.approx(stats.trim_mean(scores.ravel(), 0.25))


def test_a_relative_change_is_that_of_the_means_and_resamples_pairs() -> None:
    reference = np.array([1.0, 10.0, 100.0, 1000.0])
    change = relative_change(0.5 * reference, reference)
    assert (change.estimate, change.low, change.high) == pytest.approx((-0.5, -0.5, -0.5))


def test_a_relative_change_covers_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(300):
        reference = rng.normal(10.0, 2.0, size=8)
        change = relative_change(0.4 * reference + rng.normal(0.0, 0.5, size=8), reference)
        covered.append(change.low <= -0.6 <= change.high)
    assert 0.9 < np.mean(covered) < 0.99


def test_a_relative_change_to_nothing_is_unknown() -> None:
    assert np.isnan(relative_change(np.array([1.0, 2.0]), np.zeros(2)).estimate)
    assert np.isnan(relative_change(np.array([1.0]), np.array([2.0])).low)
