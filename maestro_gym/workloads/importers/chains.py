"""What the importers of session logs share: calls in order, each after the one before, one growing context."""

from __future__ import annotations

import numpy as np
import pandas as pd


def parents_in_line(frame: pd.DataFrame, session: str, index: str) -> list[str]:
    """Name every call's predecessor in its session.

    Args:
        frame: Calls, in order.
        session: Column of the session.
        index: Column of whole numbers that name a call in its session.

    Returns:
        Text, blank for the first call of a session.
    """
    before = frame.groupby(session, sort=False)[index].shift(1).to_numpy(np.float64)
    return ["" if np.isnan(value) else str(int(value)) for value in before]


def held_before(frame: pd.DataFrame, context: str, prompt: str, output: str) -> np.ndarray:
    """Reckon what a call may reuse: prompt and output of the call before in its context.

    A prompt shorter than the one before means that the context was made afresh: nothing is reused.

    Args:
        frame: Calls, in order.
        context: Column of the context.
        prompt: Column of prompt tokens.
        output: Column of output tokens.

    Returns:
        float64, shape (calls,), at most the prompt.
    """
    contexts = frame.groupby(context, sort=False)
    before = contexts[prompt].shift(1)
    held = (before + contexts[output].shift(1)).where(before <= frame[prompt], 0.0).fillna(0.0)
    return np.minimum(held, frame[prompt]).to_numpy(np.float64)
