"""The agent's desk: what it is shown and what it answers, for a whole batch, behind one handle.

Like the engine's handle, it costs one pointer a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from maestro_gym.boxed import ADDRESS, box_buffer, box_reader, box_writer
from maestro_gym.envs.layout import LAYOUT, Layout
from maestro_gym.jit import INTERPRETED, njit_as
from maestro_gym.schema import Hidden, State
from maestro_gym.sim.batch import records
from maestro_gym.sim.engine import ENGINE, Engine, blank_hidden
from maestro_gym.sim.reclaim import Rule

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


_HIDDEN = ENGINE.types[1]
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


DESK = types.NamedTuple((ENGINE, _HIDDEN, _LAYOUT, _BUFFERS), Desk)
"""Type of a desk in compiled code."""

STEP = types.FunctionType(types.int64(ADDRESS, types.int64))
"""Type of the function that steps one environment of a boxed desk."""


class Runner(NamedTuple):
    """A boxed desk and the function that steps one of its environments: what the batch kernels take, boxed.

    Attributes:
        step: steps one environment.
        desk: address of the desk.
        num_envs: environments of the desk.
    """

    step: Callable[[Any, int], int]
    desk: Any
    num_envs: int


RUNNER = types.NamedTuple((STEP, ADDRESS, types.int64), Runner)
"""Type of a runner in compiled code."""

read_desk, read_runner = box_reader(DESK), box_reader(RUNNER)
_write_desk, _write_runner = box_writer(DESK), box_writer(RUNNER)


@njit_as(types.void(*ENGINE.types, _HIDDEN, _LAYOUT, _BUFFERS, ADDRESS))
def _box_desk(
    state: State,
    oracle: Hidden,
    global_rule: Rule,
    cluster_rule: Rule,
    node_rule: Rule,
    reclaim_rule: Rule,
    nothing: Hidden,
    layout: np.ndarray,
    buffers: Buffers,
    address: int,
) -> None:
    # First-class functions can only enter compiled code as arguments of their own.
    engine = Engine(state, oracle, global_rule, cluster_rule, node_rule, reclaim_rule)
    _write_desk(Desk(engine, nothing, layout, buffers), address)


@njit_as(types.void(STEP, ADDRESS, types.int64, ADDRESS))
def _box_runner(step: Callable[[Any, int], int], desk: int, num_envs: int, address: int) -> None:
    _write_runner(Runner(step, desk, num_envs), address)


class OpenDesk:
    """A desk ready for the kernels, with all that its address leads to.

    Attributes:
        runner: what the batch kernels take.
    """

    def __init__(self, engine: Engine, layout: Layout, buffers: Buffers, step: Callable[[Any, int], int]) -> None:
        """Join an engine with an agent's arrays.

        Args:
            engine: of the batch; open another desk when it changes.
            layout: of the observation.
            buffers: the arrays.
            step: `kernel.step_one`.
        """
        desk = Desk(engine, blank_hidden(), layout.record, buffers)
        num_envs = len(buffers.actions)
        # What the addresses lead to lives as long as this object.
        self._kept: tuple[Any, ...] = (desk, step)
        if INTERPRETED:
            self.runner: Any = Runner(step, desk, num_envs)
            return
        desk_box, runner_box = box_buffer(DESK), box_buffer(RUNNER)
        self._kept += (desk_box, runner_box)
        self.runner = runner_box.ctypes.data
        _box_desk(*engine, *desk[1:], desk_box.ctypes.data)
        _box_runner(step, desk_box.ctypes.data, num_envs, self.runner)
