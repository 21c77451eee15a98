"""Reading a table of measurements, with errors that name the file and the column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from maestro_gym.config import hint
from maestro_gym.errors import MaestroError


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a CSV file.

    Args:
        path: The file.
        columns: What it must hold.

    Returns:
        All its columns.

    Raises:
        MaestroError: It cannot be read, is empty, or lacks a column.
    """
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise MaestroError(f"{path}: cannot be read as CSV ({error}). Give a table with a header line.") from None
    for column in columns:
        if column not in frame.columns:
            raise MaestroError(
                f"{path}: the column `{column}` is missing. {hint(column, list(frame.columns))} "
                "The columns of a profile keep the names of its public source."
            )
    for column in columns:
        if not pd.api.types.is_numeric_dtype(frame[column]) and frame[column].isna().all():
            raise MaestroError(f"{path}: the column `{column}` is empty; fill it or remove the file.")
    return frame


def median_s(frame: pd.DataFrame, operator: str) -> pd.Series:
    """Median time of an operator in tables that follow Vidur's columns, in seconds; they are in ms."""
    return frame[f"time_stats.{operator}.median"] * 1e-3


def median_columns(operators: Sequence[str]) -> list[str]:
    """Names of the columns that `median_s` reads."""
    return [f"time_stats.{operator}.median" for operator in operators]
