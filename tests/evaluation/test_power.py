"""How many seeds a difference needs, and what too few of them cannot tell."""

import numpy as np
import pytest
from scipy import stats

from maestro_gym.evaluation.power import (
    MOST_SEEDS,
    POWER,
    power_of,
    seeds_needed,
    smallest_difference,
    too_wide,
)
from maestro_gym.evaluation.statistics import Interval

SPREAD_ONE = np.array([-1.0, 1.0, 0.0, -1.0, 1.0])  # standard deviation 1, by hand: sqrt(4 / 4)


def test_a_difference_of_half_a_standard_deviation_needs_the_34_pairs_of_cohens_table() -> None:
    assert seeds_needed(SPREAD_ONE, 0.5) == 34
    assert seeds_needed(SPREAD_ONE, 0.8) == 15
    assert seeds_needed(SPREAD_ONE, 0.2) == 199


def test_power_is_how_often_a_t_test_sees_the_difference() -> None:
    draws = np.random.default_rng(0).normal(0.5, 1.0, size=(20_000, 20))
    seen = stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05
    assert power_of(0.5, 1.0, 20) == pytest.approx(seen.mean(), abs=0.01)


def test_the_smallest_difference_of_some_seeds_needs_these_seeds() -> None:
    size = smallest_difference(SPREAD_ONE)
    assert power_of(size, 1.0, 5) == pytest.approx(POWER)
    assert seeds_needed(SPREAD_ONE, size * 1.0001) == 5


def test_pairs_that_differ_by_the_same_need_two_seeds_and_hopeless_ones_the_most() -> None:
    assert seeds_needed(np.full(5, 3.0), 0.1) == 2
    assert smallest_difference(np.full(5, 3.0)) == 0.0
    assert seeds_needed(SPREAD_ONE * 1e6, 0.1) == MOST_SEEDS


def test_one_seed_tells_no_spread() -> None:
    assert seeds_needed(np.array([1.0, np.nan]), 0.1) is None
    assert np.isnan(smallest_difference(np.array([1.0])))


@pytest.mark.parametrize(
    ("low", "high", "wide"),
    [(-0.1, 0.5, True), (0.1, 0.5, False), (-0.1, 0.1, False), (-0.5, -0.1, False), (-0.3, 0.1, True)],
)
def test_an_interval_is_too_wide_that_holds_zero_and_what_matters(low: float, high: float, wide: bool) -> None:
    assert too_wide(Interval((low + high) / 2, low, high, 5), 0.2) is wide
