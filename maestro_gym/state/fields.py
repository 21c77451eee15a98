"""The field table: how every field of the state is described, once.

A record is declared by its fields (`record`), an array of the state by its axes and what a cell holds (`of`, `plain`).
Dtypes, allocation, blank values, compiled types, the live backend's table of sources and the test of what a rule of
class N may heed are all made from these declarations; nothing about a field is said a second time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, get_type_hints

import numpy as np

BOOKS, METRIC, ESTIMATE = "books", "metric", "estimate"
"""Where a live controller gets a field from: its own accounts; a server's metrics page, as old as the last scrape; what
it reckons from the fleet file, calibration or predictions."""

INF: Final = math.inf


@dataclass(frozen=True)
class Field:
    """One field of a record, or what one cell of a plain array holds.

    Attributes:
        name: As in the dtype; its ending repeats the unit where it has one.
        dtype: numpy's short name of the type.
        unit: ``s``, ``bytes``, ``tokens``, ..., a noun for counts, ``id``, ``code`` or ``flag``; ``1`` for shares.
        meaning: What it is.
        source: ``books``, ``metric`` or ``estimate``; empty outside the view, where no live controller looks.
        predicted: Whether it rests on a prediction, so that a rule of class N may not heed it.
        blank: Value at the beginning of an episode.
    """

    name: str
    dtype: str
    unit: str
    meaning: str
    source: str = ""
    predicted: bool = False
    blank: float = 0


@dataclass(frozen=True)
class Array:
    """One array of the state.

    Attributes:
        axes: A letter an axis, see `state.view.View`.
        dtype: Of a cell.
        fields: Of the record that a cell holds; a single one for a plain array.
    """

    axes: str
    dtype: np.dtype
    fields: tuple[Field, ...]


_RECORDS: dict[np.dtype, tuple[Field, ...]] = {}


def record(*fields: Field) -> np.dtype:
    """Declare a record.

    Args:
        *fields: In the order in which they lie in memory.

    Returns:
        Its structured dtype; `fields_of` finds the declaration again.
    """
    dtype = np.dtype([(field.name, field.dtype) for field in fields])
    if dtype in _RECORDS:
        raise ValueError(f"two records hold the same fields: {dtype.names}")
    _RECORDS[dtype] = fields
    return dtype


def fields_of(dtype: np.dtype) -> tuple[Field, ...]:
    """The declaration of a record."""
    return _RECORDS[dtype]


def of(axes: str, dtype: np.dtype) -> Array:
    """An array of records."""
    return Array(axes, dtype, fields_of(dtype))


def plain(
    axes: str, dtype: str, unit: str, meaning: str, *, source: str = "", predicted: bool = False, blank: float = 0
) -> Array:
    """An array of numbers; arguments as of `Field`."""
    return Array(axes, np.dtype(dtype), (Field("", dtype, unit, meaning, source, predicted, blank),))


@cache
def arrays_of(part: type) -> dict[str, Array]:
    """Arrays of a part of the state, by name.

    Args:
        part: A NamedTuple whose fields are ``Annotated[np.ndarray, of(...)]``; fields that are parts themselves are
            left out.

    Returns:
        In the order of the tuple.
    """
    hints: dict[str, Any] = get_type_hints(part, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}
