"""Observations, masks, actions and rewards of a batch: the arrays that Python and compiled code share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from maestro_gym.core.boxed import Handle, box
from maestro_gym.envs.observation.layout import LAYOUT, Layout, TierSpec
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
"""Counters of the state (``state.core``) whose increase a reward may read, in the order of its input."""

OUTCOME = np.dtype(
    [
        ("now_s", "f8"),  # simulated time of the pending decision
        ("dt_s", "f8"),  # since the decision before
        ("tier", "i8"),  # TIER_* of the pending decision, NO_TIER at the end
        ("place", "i8"),  # cluster, node, or type of tools that it is about
        ("invalid", "i8"),  # 1 when the last action was illegal and was replaced
        ("done", "i8"),  # DONE_*
        ("arrived", "i8"),  # workflows
        ("finished", "i8"),
        ("rejected", "i8"),
    ]
)

BEGIN = -1
"""In place of an action: the episode has just been loaded, go to its first decision."""


class Buffers(NamedTuple):
    """What the agent of E environments with A actions sees and answers.

    Attributes:
        parity: Array of int64, shape (1,), which of the two observations is written next.
        candidates: Array of float32, shape (2, E, A, F).
        context: Array of float32, shape (2, E, G).
        mask: Array of bool, shape (E, A).
        codes: Array of int64, shape (E, A), the engine's code of each legal action.
        actions: Array of int64, shape (E,), the agent's answers, `BEGIN` where an episode begins.
        outcome: OUTCOME (E,).
        counted: Array of float64, shape (E, R), reward counters up to the last observation.
        deltas: Array of float64, shape (E, R), their increase over the last step.
        heads: Array of int64, shape (E, 3, K), scratch of the window.
        bands: Array of int64, shape (E, 3, K), scratch of the window.
        keys: Array of float64, shape (E, 3, K), scratch of the window.
        window: Array of int64, shape (E, K), stages shown to the global tier.
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
    """Allocate the arrays of a batch."""
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


def _smallest_buffers() -> Buffers:
    """Buffers of one environment: their types are those of all."""
    spec = TierSpec("", 0, (), ())
    buffers = make_buffers(Layout(spec, 1, np.ones(1, LAYOUT)), 1)
    return Buffers(*(array.view(np.ndarray) for array in buffers))


class CompiledEnvs(NamedTuple):
    """The environments of a batch, as compiled code takes them.

    Attributes:
        engine: The simulation and its rules.
        nothing: An empty truth.
        layout: The observation's layout, LAYOUT (1,).
        buffers: What the agent sees and answers.
    """

    engine: Engine
    nothing: Hidden
    layout: np.ndarray
    buffers: Buffers


COMPILED_ENVS = Handle(
    types.NamedTuple(
        (ENGINE, HIDDEN.layout, types.Array(from_dtype(LAYOUT), 1, "C"), numba.typeof(_smallest_buffers())),
        CompiledEnvs,
    )
)
"""Type of boxed `CompiledEnvs` in compiled code."""

STEP = types.FunctionType(types.int64(COMPILED_ENVS, types.int64))
"""Type of the function that steps one environment."""


class Runner(NamedTuple):
    """Environments and the function that steps one of them: what the batch kernels take.

    Attributes:
        step: Steps one environment.
        envs: The boxed `CompiledEnvs`.
        num_envs: Number of environments.
    """

    step: Callable[[Any, int], int]
    envs: Any
    num_envs: int


RUNNER = Handle(types.NamedTuple((STEP, COMPILED_ENVS, types.int64), Runner))
"""Type of a boxed runner in compiled code."""


def open_runner(engine: Any, layout: Layout, buffers: Buffers, step: Callable[[Any, int], int]) -> Any:  # noqa: ANN401
    """Join an engine with what its agent sees and answers.

    Args:
        engine: The engine of the batch, boxed; open another runner when it changes.
        layout: The layout of the observation.
        buffers: The arrays.
        step: `kernel.step_one`.

    Returns:
        The boxed `Runner`, which the batch kernels take.
    """
    envs = box(CompiledEnvs(engine, blank_hidden(), layout.record, buffers), COMPILED_ENVS)
    return box(Runner(step, envs, len(buffers.actions)), RUNNER)
