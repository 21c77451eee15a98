"""Functions for the tests of the compiler: processes import them to compile them into a cache of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import from_dtype, types

from maestro_gym.core.compile import njit, njit_as


@njit
def scaled(value: int, factor: int, offset: float = 0.5) -> float:
    """Something that is called in many ways."""
    return value * factor + offset


@njit
def twice(value: int) -> float:
    """A part that needs another."""
    return scaled(value, 1) + scaled(value, 1)


@njit_as(types.float64(types.int64))
def entry(value: int) -> float:
    """What Python calls."""
    return twice(value) + scaled(value, 3, 1.0)


@njit_as(types.float64(types.int64))
def other_entry(value: int) -> float:
    """Another of the same parts."""
    return twice(value) - scaled(value, 2)


PAIR = np.dtype([("first", np.int64), ("second", np.float64)], align=True)


@njit
def total(pair: Any) -> float:  # noqa: ANN401 - a record
    """A part that is handed a record."""
    return pair.first + pair.second


@njit
def doubled(pair: Any) -> float:  # noqa: ANN401 - a record
    """A part that hands it on."""
    return 2.0 * total(pair)


@njit_as(types.float64(types.Array(from_dtype(PAIR), 1, "C")))
def _first_doubled(pairs: np.ndarray) -> float:
    return doubled(pairs[0])


def of_pair(value: int) -> float:
    """What Python calls."""
    return _first_doubled(np.array([(value, 0.5)], PAIR))
