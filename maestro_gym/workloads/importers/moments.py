"""Moments as tools write them: dates, and seconds or their thousandth, millionth and billionth parts since 1970."""

from __future__ import annotations

import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.traces.checks import shown

# Seconds since 1970 of the years 1990 to 2100: a number is taken in the one unit in which it lies in between.
_SOONEST_S, _LATEST_S = 631_152_000, 4_102_444_800
_UNITS = (10**9, 10**6, 10**3, 1)


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
        stamp = pd.to_datetime(str(value).strip(), errors="coerce", format="ISO8601", utc=True)
        if not pd.isna(stamp):
            return int(stamp.as_unit("ns").value)
    raise MaestroError(
        f"{where}: the value {shown(value)} is no date and time; write it like 2023-11-16T18:15:46.68Z, or as a number "
        "since 1970."
    )
