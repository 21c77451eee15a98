"""Arrival processes: times at which workflows arrive, as a function of the episode's key."""

from __future__ import annotations

import numpy as np

from maestro_gym import hashing
from maestro_gym.jit import njit


@njit
def _fill(key: int, rate_rps: float, shape: float, horizon_s: float, times_s: np.ndarray) -> int:
    """Write arrival times below the horizon; return their number, or -1 when the array is too short."""
    now_s = 0.0
    index = 0
    while True:
        if shape == 1.0:
            gap = hashing.exponential(key, hashing.ARRIVAL, index)
        else:
            gap = hashing.gamma(key, hashing.ARRIVAL, index, shape) / shape
        now_s += gap / rate_rps
        if now_s >= horizon_s:
            return index
        if index >= len(times_s):
            return -1
        times_s[index] = now_s
        index += 1


def renewal_times_s(key: int, rate_rps: float, horizon_s: float, cv: float = 1.0) -> np.ndarray:
    """Draw the arrival times of a renewal process with gamma gaps; ``cv`` 1 is Poisson.

    Gap i depends on (key, i) alone, so a longer horizon only adds arrivals.

    Args:
        key: the episode's key.
        rate_rps: mean arrivals a second, above 0.
        horizon_s: arrivals come before this time [s].
        cv: coefficient of variation of the gaps; the gamma shape is 1 / cv^2.

    Returns:
        float64, shape (arrivals,), ascending.
    """
    shape = 1.0 if cv == 1.0 else 1.0 / (cv * cv)
    expected = rate_rps * horizon_s
    capacity = int(expected + 8.0 * (1.0 + cv) * expected**0.5) + 64
    while True:
        times_s = np.empty(capacity)
        count = _fill(key, rate_rps, shape, horizon_s, times_s)
        if count >= 0:
            return times_s[:count].copy()
        capacity *= 2
