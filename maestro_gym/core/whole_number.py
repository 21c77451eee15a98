"""Whole numbers that somebody wrote: digits without end are no number, and Python reads no more than 4,300 of them."""

from __future__ import annotations

from typing import Final

_MOST_DIGITS: Final = 18


def whole_number(text: str) -> int | None:
    """Read a whole number from 0 on.

    Args:
        text: Digits.

    Returns:
        The number; None where the text is none, or is too long to be meant.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None
