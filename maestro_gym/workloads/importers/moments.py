"""Moments as tools write them: dates, and seconds or their thousandth, millionth and billionth parts since 1970."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.traces.checks import refuse_rows, shown, text

# Seconds since 1970 of the years 1990 to 2100: a number is taken in the one unit in which it lies in between.
_SOONEST_S, _LATEST_S = 631_152_000, 4_102_444_800
_UNITS = (10**9, 10**6, 10**3, 1)


def seconds_of(frame: pd.DataFrame, column: str, source: str) -> np.ndarray:
    """Read a column of dates and times as seconds after its earliest.

    Args:
        frame: The table, with ``ROW``.
        column: The column.
        source: The file.

    Returns:
        float64, shape (rows,).

    Raises:
        MaestroError: A cell is no date and time.
    """
    stamps = _dates(text(frame, column))
    message = "is no date and time; write it like 2023-11-16 18:15:46.68"
    refuse_rows(frame, stamps.isna(), column, source, message)
    return (stamps - stamps.min()).dt.total_seconds().to_numpy(np.float64)


def _dates(words: pd.Series) -> pd.Series:
    """Parse dates; what is none, or lies before 1990 or after 2100 (a number that was read as a year), is missing."""
    stamps = pd.to_datetime(words, errors="coerce", format="ISO8601", utc=True)
    return stamps.where((stamps.dt.year >= 1990) & (stamps.dt.year < 2100))


def refuse_other_units(times_ns: Sequence[int], where: str) -> None:
    """Refuse nanoseconds since 1970 that are plainly something coarser: all would be dates in another unit.

    Times of a recorder's own clock pass, as long as one of them is near its beginning.

    Args:
        times_ns: What stands where nanoseconds should.
        where: The beginning of an error message.

    Raises:
        MaestroError: All of them are seconds, milliseconds or microseconds since 1970.
    """
    for unit_ns, name in ((10**9, "seconds"), (10**6, "milliseconds"), (10**3, "microseconds")):
        soonest, latest = _SOONEST_S * 10**9 // unit_ns, _LATEST_S * 10**9 // unit_ns
        if times_ns and soonest <= min(times_ns) and max(times_ns) <= latest:
            raise MaestroError(
                f"{where}: the times, such as {times_ns[0]}, are {name} since 1970; write nanoseconds, {unit_ns:,} "
                "times as much."
            )


def nanoseconds(value: object, where: str) -> int:
    """Read a moment.

    Args:
        value: A date and time of ISO 8601 (without a zone: UTC), or a number since 1970.
        where: The beginning of an error message.

    Returns:
        Nanoseconds since 1970.

    Raises:
        MaestroError: It is no moment.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        for unit_ns in _UNITS:
            if _SOONEST_S * 10**9 <= value * unit_ns <= _LATEST_S * 10**9:
                return round(value * unit_ns) if isinstance(value, float) else value * unit_ns
    elif isinstance(value, str | pd.Timestamp) and str(value).strip():
        stamp = _dates(pd.Series([str(value).strip()])).iloc[0]
        if not pd.isna(stamp):
            return int(stamp.as_unit("ns").value)
    raise MaestroError(
        f"{where}: the value {shown(value)} is no date and time; write it like 2023-11-16T18:15:46.68Z, or as a number "
        "since 1970."
    )
