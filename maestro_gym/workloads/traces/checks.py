"""Checks of a table of calls; every mistake names file, row, column and the fix."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from maestro_gym.config import nearest
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.traces.format import ROW

MOST = 1e12
"""Above this a number is taken for a mistake of units."""


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
    present = [str(column) for column in frame.columns]
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
    frame: pd.DataFrame, column: str, source: str, *, low: float, whole: bool, blank: float | None = None
) -> np.ndarray:
    """Return a column as finite numbers.

    Args:
        frame: The table, with ``ROW``.
        column: The column.
        source: The file.
        low: Smallest value allowed.
        whole: Whether only whole numbers are.
        blank: What an empty cell stands for; None: an empty cell is a mistake.

    Returns:
        float64, shape (rows,).

    Raises:
        MaestroError: A cell holds something else.
    """
    raw = text(frame, column)
    values = np.array(pd.to_numeric(raw, errors="coerce"), np.float64)
    if blank is not None:
        values[(raw == "").to_numpy()] = blank
    unit = "tokens" if "token" in column else "seconds" if column.endswith("_s") else "units"
    kind = "a whole number" if whole else "a number"
    problems = [
        (~np.isfinite(values), f"is not {kind}; give {kind} of {unit}"),
        (values < low, f"is below {low:g}; give {kind} of at least {low:g}"),
        (values > MOST, f"is too large to be meant; check the unit, which is {unit}"),
    ]
    if whole:
        problems.append((values != np.floor(values), "is not a whole number; round it"))
    for wrong, message in problems:
        found = np.flatnonzero(wrong)
        if len(found):
            at = int(found[0])
            more = f" ({len(found) - 1} more rows like it)" if len(found) > 1 else ""
            raise MaestroError(
                f"{place(source, int(frame[ROW].iloc[at]), column)}: the value {raw.iloc[at]!r} {message}{more}."
            )
    return values
