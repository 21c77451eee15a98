"""Functions for the tests of the compiler: processes import them to compile them into a cache of their own."""

from __future__ import annotations

from numba import types

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
