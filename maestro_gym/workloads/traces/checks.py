"""Checks of a table of calls; every mistake names file, row, column and the fix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from maestro_gym.config import nearest
from maestro_gym.config.bounds import MOST_TOKENS
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.traces.format import ROW, SEEN, Fields

MOST = 1e12
"""Above this a number is taken for a mistake of units."""


class Origin(NamedTuple):
    """Where a table of calls comes from, so that messages speak of the user's file.

    Attributes:
        source: The file.
        raw: Its table, with ``ROW``; None: the calls are the file's own rows.
        fields: Which of its columns became which.
    """

    source: str
    raw: pd.DataFrame | None = None
    fields: Fields = MappingProxyType({})

    def cells(self, table: pd.DataFrame, at: int, column: str) -> dict[str, Any]:
        """What the file says of one field of one call.

        Args:
            table: Calls, with ``ROW`` and perhaps ``SEEN``.
            at: Place of the call in it.
            column: A column of the workflow-trace format.

        Returns:
            Cells by the file's own names, those that are there.
        """
        seen: Mapping[str, Any]
        if SEEN in table.columns:
            seen = table[SEEN].iloc[at]
        elif self.raw is not None:
            seen = self.raw.iloc[int(table[ROW].iloc[at]) - 1].to_dict()
        else:
            return {column: table[column].iloc[at]} if column in table.columns else {}
        return {name: seen[name] for name in self.fields.get(column, ()) if name in seen and not _is_blank(seen[name])}

    def name(self, column: str) -> str:
        """What the file calls a column of the workflow-trace format; its own name where it has none for it."""
        return " or ".join(self.fields.get(column, (column,)))

    def refuse(self, table: pd.DataFrame, at: int, column: str, message: str) -> MaestroError:
        """Make the error for one cell.

        Args:
            table: Calls, with ``ROW`` and perhaps ``SEEN``.
            at: Place of the call in it.
            column: A column of the workflow-trace format.
            message: What is wrong with the value, and the fix.

        Returns:
            The error, which quotes the cell as it stands in the file.
        """
        cells = self.cells(table, at, column) or {self.name(column): table[column].iloc[at]}
        where = place(self.source, int(table[ROW].iloc[at]), "`, `".join(cells))
        return MaestroError(f"{where}: the value {', '.join(shown(value) for value in cells.values())} {message}.")


def shown(value: object) -> str:
    """Write a value as a person would: text in quotes, numbers without the names of their types.

    Args:
        value: Of a cell.

    Returns:
        At most 60 characters.
    """
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    words = repr(value)
    return words if len(words) <= 60 else words[:57] + "..."


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def place(source: str, row: int, column: str) -> str:
    """Say where a mistake is.

    Args:
        source: The file.
        row: 1 = first after the header.
        column: The column.

    Returns:
        The beginning of an error message.
    """
    return f"{source}: row {row} (the header not counted), column `{column}`"


def refuse_rows(frame: pd.DataFrame, wrong: ArrayLike, column: str, source: str, message: str) -> None:
    """Refuse a table if some of its rows are wrong, by the first of them.

    Args:
        frame: The table, with ``ROW``.
        wrong: bool, shape (rows,).
        column: The column to name.
        source: The file.
        message: What is wrong with the value, and the fix.

    Raises:
        MaestroError: A row is wrong.
    """
    found = np.flatnonzero(np.asarray(wrong, bool))
    if len(found):
        at = int(found[0])
        where = place(source, int(frame[ROW].iloc[at]), column)
        raise MaestroError(f"{where}: the value {shown(text(frame, column).iloc[at])} {message}.")


def require_columns(frame: pd.DataFrame, wanted: Iterable[str], source: str, what: str) -> None:
    """Refuse a table that lacks a column.

    Args:
        frame: The table.
        wanted: Columns it must have.
        source: The file.
        what: Name of the format.

    Raises:
        MaestroError: A column is missing.
    """
    present = [str(column) for column in frame.columns if column != ROW]
    for column in wanted:
        if column in present:
            continue
        guess = nearest(column, [name for name in present if name not in wanted])
        fix = f"Rename `{guess}` to it" if guess else "Add it"
        raise MaestroError(
            f"{source}: the column `{column}` of the {what} format is missing. {fix}; the file has: "
            f"{', '.join(present[:30])}."
        )


def text(frame: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as stripped text, blank where it holds nothing."""
    values = frame[column]
    return values.astype(object).where(values.notna(), "").astype(str).str.strip()


def numbers(
    frame: pd.DataFrame,
    column: str,
    source: str,
    *,
    low: float,
    whole: bool,
    blank: float | None = None,
    unit: str | None = None,
) -> np.ndarray:
    """Return a column as finite numbers.

    Args:
        frame: The table, with ``ROW``.
        column: The column.
        source: The file.
        low: Smallest value allowed.
        whole: Whether only whole numbers are.
        blank: What an empty cell stands for; None: an empty cell is a mistake.
        unit: Of the values; None: told by the column's name.

    Returns:
        float64, shape (rows,).

    Raises:
        MaestroError: A cell holds something else.
    """
    values, mistake = parsed(frame, column, low=low, whole=whole, blank=blank, unit=unit)
    if mistake is not None:
        raise MaestroError(
            f"{place(source, int(frame[ROW].iloc[mistake.at]), column)}: the value "
            f"{shown(text(frame, column).iloc[mistake.at])} {mistake.message}."
        )
    return values


class Mistake(NamedTuple):
    """The first bad cell of a column.

    Attributes:
        at: Place of its row in the table.
        message: What is wrong with the value, and the fix.
    """

    at: int
    message: str


def parsed(
    frame: pd.DataFrame, column: str, *, low: float, whole: bool, blank: float | None = None, unit: str | None = None
) -> tuple[np.ndarray, Mistake | None]:
    """Parse a column as numbers; as ``numbers``, but the first mistake is returned.

    Args:
        frame: The table.
        column: The column.
        low: Smallest value allowed.
        whole: Whether only whole numbers are.
        blank: What an empty cell stands for; None: an empty cell is a mistake.
        unit: Of the values; None: told by the column's name.

    Returns:
        float64, shape (rows,), and the first mistake.
    """
    raw = text(frame, column)
    values = np.array(pd.to_numeric(raw, errors="coerce"), np.float64)
    if blank is not None:
        values[(raw == "").to_numpy()] = blank
    unit = unit or ("tokens" if "token" in column else "seconds" if column.endswith("_s") else "units")
    kind = "a whole number" if whole else "a number"
    problems = [
        (~np.isfinite(values), f"is not {kind}; give {kind} of {unit}"),
        (values < low, f"is below {low:g}; give {kind} of at least {low:g}"),
        (
            values > (MOST_TOKENS if unit == "tokens" else MOST),
            f"is too large to be meant; check the unit, which is {unit}",
        ),
    ]
    if whole:
        problems.append((values != np.floor(values), "is not a whole number; round it"))
    for wrong, message in problems:
        found = np.flatnonzero(wrong)
        if len(found):
            more = f" ({len(found) - 1} more rows like it)" if len(found) > 1 else ""
            return values, Mistake(int(found[0]), message + more)
    return values, None
