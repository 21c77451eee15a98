"""The agent's desk: what it is shown and what it answers, for a whole batch, behind one handle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from maestro_gym.core.boxed import Handle, box
from maestro_gym.envs.observation.layout import LAYOUT, Layout
from maestro_gym.sim.engine import ENGINE, Engine
from maestro_gym.state import Hidden
from maestro_gym.state.allocate import records
from maestro_gym.state.types import HIDDEN, blank_hidden

REWARD_COUNTERS = (
    "weighted_residence",
    "slo_met_weight",
    "slo_missed_weight",
    "ttft_met_weight",
    "ttft_missed_weight",
    "stages_finished",
    "cold_starts",
    "wakes",
    "preemptions",
    "boundary_preemptions",
    "oom_events",
    "invalid_actions",
)
"""Counters of `schema.COUNTERS` whose increase a reward may read, in the order of its input."""

OUTCOME = np.dtype(
    [
        ("now_s", "f8"),  # simulated time of the pending decision
        ("dt_s", "f8"),  # since the decision before
        ("tier", "i8"),  # of the pending decision, NO_TIER at the end
        ("place", "i8"),
        ("invalid", "i8"),  # 1 when the last action was illegal and was replaced
        ("done", "i8"),  # DONE_*
        ("arrived", "i8"),  # workflows
        ("finished", "i8"),
    ]
)

BEGIN = -1
"""In place of an action: the episode has just been loaded, go to its first decision."""


class Buffers(NamedTuple):
    """Arrays of the desk of E environments with A actions.

    Attributes:
        parity: int64 (1,), which of the two observations is written next.
        candidates: float32 (2, E, A, F).
        context: float32 (2, E, G).
        mask: bool (E, A).
        codes: int64 (E, A), the engine's code of each legal action.
        actions: int64 (E,), the agent's answers, `BEGIN` where an episode begins.
        outcome: OUTCOME (E,).
        counted: float64 (E, R), reward counters up to the last observation.
        deltas: float64 (E, R), their increase over the last step.
        heads: int64 (E, 3, K), scratch of the window.
        bands: int64 (E, 3, K), scratch of the window.
        keys: float64 (E, 3, K), scratch of the window.
        window: int64 (E, K), stages shown to the global tier.
    """

    parity: np.ndarray
    candidates: np.ndarray
    context: np.ndarray
    mask: np.ndarray
    codes: np.ndarray
    actions: np.ndarray
    outcome: np.ndarray
    counted: np.ndarray
    deltas: np.ndarray
    heads: np.ndarray
    bands: np.ndarray
    keys: np.ndarray
    window: np.ndarray


def make_buffers(layout: Layout, num_envs: int) -> Buffers:
    """Allocate the desk of a batch."""
    rows, columns = layout.num_actions, len(layout.spec.row_columns)
    window = int(layout.record[0]["window"])
    return Buffers(
        parity=np.zeros(1, np.int64),
        candidates=np.zeros((2, num_envs, rows, columns), np.float32),
        context=np.zeros((2, num_envs, len(layout.spec.context_columns)), np.float32),
        mask=np.zeros((num_envs, rows), np.bool_),
        codes=np.zeros((num_envs, rows), np.int64),
        actions=np.zeros(num_envs, np.int64),
        outcome=records((num_envs,), OUTCOME),
        counted=np.zeros((num_envs, len(REWARD_COUNTERS))),
        deltas=np.zeros((num_envs, len(REWARD_COUNTERS))),
        heads=np.zeros((num_envs, 3, window), np.int64),
        bands=np.zeros((num_envs, 3, window), np.int64),
        keys=np.zeros((num_envs, 3, window)),
        window=np.zeros((num_envs, window), np.int64),
    )


def _array(dtype: Any, ndim: int) -> types.Array:  # noqa: ANN401 - whatever numpy takes for a dtype
    return types.Array(from_dtype(np.dtype(dtype)), ndim, "C")


_LAYOUT = _array(LAYOUT, 1)
_BUFFER_TYPES = (
    _array("i8", 1),
    _array("f4", 4),
    _array("f4", 3),
    _array("?", 2),
    _array("i8", 2),
    _array("i8", 1),
    _array(OUTCOME, 1),
    _array("f8", 2),
    _array("f8", 2),
    _array("i8", 3),
    _array("i8", 3),
    _array("f8", 3),
    _array("i8", 2),
)
_BUFFERS = types.NamedTuple(_BUFFER_TYPES, Buffers)


class Desk(NamedTuple):
    """An engine and the arrays of the agent that sits before it.

    Attributes:
        engine: the simulation and its rules.
        nothing: an empty truth.
        layout: LAYOUT (1,).
        buffers: the arrays.
    """

    engine: Engine
    nothing: Hidden
    layout: np.ndarray
    buffers: Buffers


DESK = Handle(types.NamedTuple((ENGINE, HIDDEN.layout, _LAYOUT, _BUFFERS), Desk))
"""Type of a boxed desk in compiled code."""

STEP = types.FunctionType(types.int64(DESK, types.int64))
"""Type of the function that steps one environment of a desk."""


class Runner(NamedTuple):
    """A desk and the function that steps one of its environments: what the batch kernels take.

    Attributes:
        step: steps one environment.
        desk: the boxed desk.
        num_envs: environments of the desk.
    """

    step: Callable[[Any, int], int]
    desk: Any
    num_envs: int


RUNNER = Handle(types.NamedTuple((STEP, DESK, types.int64), Runner))
"""Type of a boxed runner in compiled code."""


def open_desk(engine: Any, layout: Layout, buffers: Buffers, step: Callable[[Any, int], int]) -> Any:  # noqa: ANN401
    """Join an engine with an agent's arrays.

    Args:
        engine: of the batch, boxed; open another desk when it changes.
        layout: of the observation.
        buffers: the arrays.
        step: `kernel.step_one`.

    Returns:
        The boxed `Runner`, which the batch kernels take.
    """
    desk = box(Desk(engine, blank_hidden(), layout.record, buffers), DESK)
    return box(Runner(step, desk, len(buffers.actions)), RUNNER)
