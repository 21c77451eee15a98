"""How quantities become features: logarithmic where overload must not saturate them, shares elsewhere.

A feature of 1 stands for the top of its scale; what lies beyond is clipped there.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.core.compile import njit

COUNT_TOP: Final = 1e4
"""Stages, workflows or calls at which a count's feature is 1: log1p(x) / log1p(1e4)."""

TIME_UNIT_S: Final = 0.1
TIME_SPAN: Final = 1e5
"""Seconds: log1p(x / 0.1 s) / log1p(1e5), so 1 at 10,000 s, 0.21 at 1 s, 0.52 at 40 s."""

LATENCY_UNIT_S: Final = 1e-3
LATENCY_SPAN: Final = 1e5
"""Network seconds: log1p(x / 1 ms) / log1p(1e5), so 1 at 100 s and 0.30 at 30 ms."""

TOKEN_UNIT: Final = 16.0
TOKEN_SPAN: Final = 1e4
"""Tokens: log1p(x / 16) / log1p(1e4), so 1 at 160,000 and 0.45 at 1,000."""


@njit
def of_count(count: float) -> float:
    """Feature of a number of things, 0 to 1."""
    return min(1.0, math.log1p(max(0.0, count)) / math.log1p(COUNT_TOP))


@njit
def of_time(seconds: float) -> float:
    """Feature of a span of time, 0 to 1; nothing below zero."""
    return min(1.0, math.log1p(max(0.0, seconds) / TIME_UNIT_S) / math.log1p(TIME_SPAN))


@njit
def of_signed_time(seconds: float) -> float:
    """Feature of a time that may be past, -1 to 1."""
    return of_time(seconds) if seconds >= 0.0 else -of_time(-seconds)


@njit
def of_latency(seconds: float) -> float:
    """Feature of a network latency, 0 to 1."""
    return min(1.0, math.log1p(max(0.0, seconds) / LATENCY_UNIT_S) / math.log1p(LATENCY_SPAN))


@njit
def of_tokens(tokens: float) -> float:
    """Feature of a number of tokens, 0 to 1."""
    return min(1.0, math.log1p(max(0.0, tokens) / TOKEN_UNIT) / math.log1p(TOKEN_SPAN))


@njit
def of_share(part: float, whole: float) -> float:
    """Part of a whole, clipped to 0 to 1; 0 of an empty whole."""
    if whole <= 0.0:
        return 0.0
    return min(1.0, max(0.0, part / whole))


@njit
def of_flag(condition: bool) -> float:
    """1 of what is true, 0 of what is not."""
    return 1.0 if condition else 0.0
