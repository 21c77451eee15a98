"""The law through a median and a 90th percentile, against draws and sums."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.scheduling.log_normal import mean_s, mean_until_s, sigma_of, standard_normal_cdf

MEDIAN_S, Q90_S = 10.0, 40.0


def _quantiles() -> np.ndarray:
    """The law's own percentiles, so fine that their mean is its mean."""
    from statistics import NormalDist

    grid = (np.arange(200_000) + 0.5) / 200_000
    z = np.array([NormalDist().inv_cdf(p) for p in grid])
    return MEDIAN_S * np.exp(sigma_of(MEDIAN_S, Q90_S) * z)


def test_the_law_has_the_percentiles_that_it_was_made_of() -> None:
    lengths_s = _quantiles()
    assert np.quantile(lengths_s, 0.5) == pytest.approx(MEDIAN_S, rel=1e-3)
    assert np.quantile(lengths_s, 0.9) == pytest.approx(Q90_S, rel=1e-3)


def test_the_mean_and_the_mean_until_a_quantum_are_those_of_the_law() -> None:
    lengths_s, sigma = _quantiles(), sigma_of(MEDIAN_S, Q90_S)
    assert mean_s(MEDIAN_S, sigma) == pytest.approx(lengths_s.mean(), rel=2e-3)
    for z in (-2.0, 0.0, 1.5):
        quantum_s = MEDIAN_S * np.exp(sigma * z)
        below = standard_normal_cdf(z)
        assert mean_until_s(MEDIAN_S, sigma, z, below) == pytest.approx(
            np.minimum(lengths_s, quantum_s).mean(), rel=1e-3
        )
        assert below == pytest.approx((lengths_s <= quantum_s).mean(), abs=1e-4)


def test_percentiles_out_of_order_or_at_zero_are_a_length_that_is_known() -> None:
    assert sigma_of(10.0, 5.0) == sigma_of(0.0, 0.0) == 0.0
    assert mean_s(10.0, 0.0) == 10.0
