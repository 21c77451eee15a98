"""What an agent is shown, in the form that it asked for: a dict of two arrays, or one flat vector."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from maestro_gym.envs.batch.agent_batch import AgentBatch
from maestro_gym.envs.flat import flat_space, flatten
from maestro_gym.envs.observation.layout import Layout

Observation = dict[str, np.ndarray] | np.ndarray


def observation_space_of(layout: Layout) -> spaces.Dict:
    """The space of an observation: ``candidates`` (A, F) and ``context`` (G,), bounded float32."""
    rows = np.array([column.low for column in layout.spec.row_columns], np.float32)
    context = np.array([column.low for column in layout.spec.context_columns], np.float32)
    low = np.tile(rows, (layout.num_actions, 1))
    return spaces.Dict(
        {
            "candidates": spaces.Box(low, np.ones_like(low), dtype=np.float32),
            "context": spaces.Box(context, np.ones_like(context), dtype=np.float32),
        }
    )


def shown_space(batch: AgentBatch) -> spaces.Space:
    """The space of what one environment of a batch shows."""
    return flat_space(batch.layout) if _is_flat(batch) else observation_space_of(batch.layout)


def shown(batch: AgentBatch, e: int | None = None, *, copy: bool = True) -> Observation:
    """What the agent of an environment sees, or the agents of all.

    Args:
        batch: The batch.
        e: The environment; None shows all, with a leading axis.
        copy: Whether the arrays are copies; views, with False, hold until the step after the next. A flat vector is
            always a copy.
    """
    observation, mask = batch.observation(), batch.buffers.mask
    if e is not None:
        observation, mask = {name: array[e] for name, array in observation.items()}, mask[e]
    if _is_flat(batch):
        return flatten(observation, mask)
    return {name: array.copy() for name, array in observation.items()} if copy else observation


def _is_flat(batch: AgentBatch) -> bool:
    return batch.options.observation == "flat"
