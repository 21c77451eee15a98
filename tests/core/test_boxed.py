"""A box hands compiled code the tuple's own arrays, and nothing that it was not compiled for."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba import types

from maestro_gym.core.boxed import Handle, box
from maestro_gym.core.compile import INTERPRETED, njit


class Inner(NamedTuple):
    """Fields of a part."""

    numbers: np.ndarray
    count: int


class Outer(NamedTuple):
    """A tuple with a part inside."""

    rows: np.ndarray
    inner: Inner


_INNER = types.NamedTuple((types.Array(types.float64, 1, "C"), types.int64), Inner)
OUTER = Handle(types.NamedTuple((types.Array(types.int64, 2, "C"), _INNER), Outer))


@njit
def _use(outer: Outer, at: int) -> float:
    outer.inner.numbers[at] += outer.inner.count
    return outer.rows[at, -1] + outer.rows.shape[1]


def test_compiled_code_reads_and_writes_the_arrays_that_were_boxed() -> None:
    outer = Outer(np.arange(6).reshape(2, 3), Inner(np.zeros(2), 7))
    assert _use(box(outer, OUTER), 1) == 5 + 3
    assert outer.inner.numbers.tolist() == [0.0, 7.0]


@pytest.mark.skipif(INTERPRETED, reason="interpreted, a box is the tuple itself")
def test_an_array_of_another_type_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"Outer\.inner\.numbers"):
        box(Outer(np.zeros((2, 3), np.int64), Inner(np.zeros(2, np.float32), 1)), OUTER)


@pytest.mark.skipif(INTERPRETED, reason="interpreted, a box is the tuple itself")
def test_a_box_keeps_its_arrays_alive() -> None:
    boxed = box(Outer(np.ones((1, 2), np.int64), Inner(np.full(1, 2.5), 1)), OUTER)
    assert numba.typeof(boxed) == OUTER
    assert _use(boxed, 0) == 3.0
    assert _use(boxed, 0) == 3.0
