"""Counts of tokens that no engine can serve as they stand: what is taken instead, and saying so."""

from __future__ import annotations

import numpy as np


def at_least_one(tokens: np.ndarray, what: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Take an empty prompt or answer as one token: an engine has no step without one.

    Args:
        tokens: Shape (calls,).
        what: ``prompt`` or ``output``.

    Returns:
        The tokens, and a note if there was an empty one.
    """
    empty = int(np.count_nonzero(tokens < 1))
    notes = (f"{empty} of {len(tokens)} calls have no {what} tokens; they are taken as one token",) if empty else ()
    return np.maximum(tokens, 1), notes
