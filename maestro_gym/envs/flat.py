"""An observation as one vector, for learners that want a `Box`: the context, then every candidate, then the mask.

The context stands first, so that its columns have the same numbers on every fleet; the mask stands last, so that
``vector[..., -A:]`` is it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from gymnasium import spaces

from maestro_gym.envs.observation.layout import Layout


def flat_space(layout: Layout) -> spaces.Box:
    """The space of a flat observation: bounded float32, shape (G + A * F + A,)."""
    context = [column.low for column in layout.spec.context_columns]
    row = [column.low for column in layout.spec.row_columns]
    low = np.array(context + row * layout.num_actions + [0.0] * layout.num_actions, np.float32)
    return spaces.Box(low, np.ones_like(low), dtype=np.float32)


def flat_columns(layout: Layout) -> list[str]:
    """Name of every entry of a flat observation, in order.

    Args:
        layout: Of the observation.

    Returns:
        Such as ``context.fleet_ready``, ``candidates[3].stage_prompt`` and ``mask[3]``.
    """
    row = [column.name for column in layout.spec.row_columns]
    actions = range(layout.num_actions)
    return [
        *(f"context.{column.name}" for column in layout.spec.context_columns),
        *(f"candidates[{action}].{name}" for action in actions for name in row),
        *(f"mask[{action}]" for action in actions),
    ]


def flatten(observation: Mapping[str, np.ndarray], mask: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Join the parts of an observation, of one environment or of a batch.

    Args:
        observation: ``candidates``, float32 (A, F) or (E, A, F), and ``context``, float32 (G,) or (E, G).
        mask: The legal actions, shape (A,) or (E, A). It is more than the column ``legal``: at the end of an episode
            no candidate is shown and the mask still allows one action.
        out: Array of float32, shape (..., G + A * F + A), written where given; None allocates one.

    Returns:
        ``out``.
    """
    candidates, context = observation["candidates"], observation["context"]
    first, actions = context.shape[-1], mask.shape[-1]
    last = first + candidates.shape[-2] * candidates.shape[-1]
    if out is None:
        out = np.empty((*context.shape[:-1], last + actions), np.float32)
    out[..., :first] = context
    out[..., first:last] = candidates.reshape(*context.shape[:-1], last - first)
    out[..., last:] = mask
    return out
