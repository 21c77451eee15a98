"""Reading a table of measurements, with errors that name the file and the column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maestro_gym.config import hint
from maestro_gym.core.errors import MaestroError


class Table:
    """Rows of a file: columns as arrays, rows chosen by masks, groups of equal keys."""

    def __init__(self, frame: Any) -> None:  # noqa: ANN401 - pandas has no stubs
        """Wrap a data frame.

        Args:
            frame: The pandas frame.
        """
        self._frame = frame

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._frame)

    def has(self, column: str) -> bool:
        """Whether there is such a column."""
        return column in self._frame.columns

    def floats(self, *columns: str) -> list[np.ndarray]:
        """Columns as float64, shape (rows,) each."""
        return [self._frame[column].to_numpy(np.float64) for column in columns]

    def integers(self, *columns: str) -> list[np.ndarray]:
        """Columns as int64, shape (rows,) each."""
        return [self._frame[column].to_numpy(np.int64) for column in columns]

    def words(self, column: str) -> list[str]:
        """A column as text."""
        return [str(value) for value in self._frame[column]]

    def where(self, mask: np.ndarray) -> Table:
        """The rows of a bool mask, shape (rows,)."""
        return Table(self._frame[mask])

    def groups(self, columns: Sequence[str]) -> list[tuple[tuple[Any, ...], Table]]:
        """Rows by the values of some columns, in order of these."""
        return [(key, Table(rows)) for key, rows in self._frame.groupby(list(columns))]

    def medians(self, keys: Sequence[str], values: Sequence[str]) -> Table:
        """Repeats of a point put together: the median of `values` for equal `keys`."""
        return Table(self._frame.groupby(list(keys), as_index=False)[list(values)].median())

    def median_s(self, operator: str) -> np.ndarray:
        """Median time of an operator in a file with Vidur's columns, which are in ms: seconds, shape (rows,)."""
        return self._frame[f"time_stats.{operator}.median"].to_numpy(np.float64) * 1e-3


def read_table(path: Path, numbers: Sequence[str], words: Sequence[str] = ()) -> Table:
    """Read a CSV file.

    Args:
        path: The file.
        numbers: Columns of numbers that it must hold; cells may be blank.
        words: Columns of text that it must hold.

    Returns:
        The file.

    Raises:
        MaestroError: It cannot be read, lacks a column, or has text among numbers.
    """
    try:
        frame: Any = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise MaestroError(f"{path}: cannot be read as CSV ({error}). Give a table with a header line.") from None
    if not isinstance(frame.index, pd.RangeIndex):
        # pandas takes what is too much at the head of a row for an index, which moves every column.
        raise MaestroError(f"{path}: its rows have more fields than its header has names; name every column.")
    known = [str(column) for column in frame.columns]
    for column in (*numbers, *words):
        if column not in known:
            raise MaestroError(
                f"{path}: the column `{column}` is missing. {hint(column, known)} "
                "The columns of a profile keep the names of its public source."
            )
    for column in numbers:
        try:
            pd.to_numeric(frame[column])
        except (ValueError, TypeError) as error:
            raise MaestroError(f"{path}: the column `{column}` must hold numbers ({error}).") from None
    return Table(frame)


def median_columns(operators: Sequence[str]) -> list[str]:
    """Names of the columns that `Table.median_s` reads."""
    return [f"time_stats.{operator}.median" for operator in operators]
