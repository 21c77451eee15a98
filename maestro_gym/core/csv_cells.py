"""Text in CSV files that a spreadsheet shows and does not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_RUN = ("=", "+", "-", "@", "\t", "\r")
"""With what a cell begins that a spreadsheet takes for a formula."""


def as_text(value: Any) -> Any:  # noqa: ANN401 - any cell
    """A cell as it may stand in a CSV file: text that looks like a formula is marked as text by an apostrophe."""
    if not isinstance(value, str) or not value.startswith(_RUN):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def row_as_text(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of cells as of `as_text`."""
    return {name: as_text(value) for name, value in row.items()}


def table_as_text(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose cells and column names are as of `as_text`; the table itself stays as it is."""
    words = [name for name, column in table.items() if column.dtype.kind not in "biufcmM"]
    return table.assign(**{str(name): table[name].map(as_text) for name in words}).rename(columns=as_text)
