"""What public traces do not say and a replay needs: classes, deadlines, limits. Modelling choices."""

from __future__ import annotations

import numpy as np


def client_limit(output_tokens: np.ndarray) -> int:
    """Choose max_output_tokens for a trace that does not record it.

    One limit for the whole file, the power of two at or above its longest output: a limit that
    followed each call's own length would betray the length.

    Args:
        output_tokens: Shape (calls,).

    Returns:
        Tokens, at least 512.
    """
    return max(512, 1 << int(np.ceil(np.log2(max(float(np.max(output_tokens)), 1.0)))))
