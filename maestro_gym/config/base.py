"""The strict base of every configuration model, and the hint that mends a mistyped name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A frozen record that knows all its keys and takes no word for a number: neither is ever ignored or guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


SHOWN = 200
"""Letters of what a user wrote that a message repeats."""


def shortened(text: str) -> str:
    """What a user wrote, as a message may repeat it: on one line, and not whole where it is long."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: SHOWN + 1]).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that looks most like a given one.

    Args:
        name: What the user wrote.
        valid: The names that exist.

    Returns:
        The nearest name, or None when nothing is near.
    """
    by_lower = {candidate.lower(): candidate for candidate in valid}
    matches = difflib.get_close_matches(name[:SHOWN].lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[matches[0]] if matches else None


def hint(name: str, valid: Iterable[str]) -> str:
    """Say which names exist, the nearest first.

    Args:
        name: What the user wrote.
        valid: The names that exist.

    Returns:
        One or two sentences for an error message.
    """
    names = sorted(valid)
    match = nearest(name, names)
    listed = ", ".join(names) if names else "none"
    return (f"Did you mean `{match}`? " if match else "") + f"Valid names: {listed}."
