"""A length of time as a log-normal law, from the median and the 90th percentile that predictors give.

    sigma = ln(q90 / q50) / z90, z90 = 1.2816

Predictors give two percentiles; rules that ask for a mean, a probability or an index need a law through them. Lengths
of answers and of workflows are skewed to the right, as this one is (modelling choice).
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.core.compile import njit

Z90: Final = 1.2815515655446004
"""90th percentile of the standard normal law."""

LEAST_S: Final = 1e-3
"""Median that shorter ones are taken for, so that their logarithm exists [s]."""


@njit
def sigma_of(median_s: float, q90_s: float) -> float:
    """Standard deviation of the logarithm; 0 where the percentiles are not in order."""
    return max(0.0, math.log(max(q90_s, LEAST_S) / max(median_s, LEAST_S))) / Z90


@njit
def mean_s(median_s: float, sigma: float) -> float:
    """Mean [s]."""
    return max(median_s, LEAST_S) * math.exp(0.5 * sigma * sigma)


@njit
def standard_normal_cdf(z: float) -> float:
    """Distribution function of the standard normal law."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@njit
def mean_until_s(median_s: float, sigma: float, z: float, below: float) -> float:
    """Mean of the lesser of the length and a quantum [s].

    Args:
        median_s: Median of the length.
        sigma: Standard deviation of its logarithm, above 0.
        z: Where the quantum lies, in standard deviations of the logarithm from the median.
        below: `standard_normal_cdf` of z, the part of the lengths up to the quantum.
    """
    quantum_s = max(median_s, LEAST_S) * math.exp(sigma * z)
    return mean_s(median_s, sigma) * standard_normal_cdf(z - sigma) + quantum_s * (1.0 - below)
