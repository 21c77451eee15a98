"""Which waiting stage is admitted, at which reservation, and which model is made ready.

One law for all node rules that serve their queue, so that they differ in what they are named for: of the stages for
which something can be done now, the first in order gets it (admission, or promotion of its model). A stage that has
outwaited its patience makes others hold back: engines drain for a model that finds no room, and younger stages leave
memory to one that does not fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from maestro_gym.baselines.late_binding.room import (
    STEP_ADMIT,
    STEP_NONE,
    STEP_PROMOTE,
    is_overdue,
    must_drain,
    next_step,
    start_time_s,
)
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import WAIT, admit_code, demote_code, promote_code
from maestro_gym.scheduling.legal import can_admit, can_demote, can_promote
from maestro_gym.scheduling.order import is_sooner
from maestro_gym.scheduling.view import (
    may_wait,
    model_of,
    node_to_serve,
    num_models,
    num_queued,
    queued_stage,
    ready_s,
    slot_of,
    slot_status,
)
from maestro_gym.state import ENGINE_ASLEEP, ENGINE_AWAKE, Hidden, View


@njit
def is_head(view: View, e: int, node: int, position: int) -> bool:
    """Whether no stage of the same model stands before a queue position: the head of its engine's queue."""
    model = model_of(view, e, queued_stage(view, e, node, position))
    for earlier in range(position):  # noqa: SIM110 - numba compiles no generator expression
        if model_of(view, e, queued_stage(view, e, node, earlier)) == model:
            return False
    return True


@njit
def is_starved(view: View, e: int, node: int, position: int, level: int) -> bool:
    """Whether the stage at a queue position is overdue and held up by lack of memory or of a slot."""
    stage = queued_stage(view, e, node, position)
    if (
        not is_overdue(view, e, stage, start_time_s(view, e, node, stage))
        or next_step(view, e, node, position, level) != STEP_NONE
    ):
        return False
    slot = slot_of(view, e, node, model_of(view, e, stage))
    if slot < 0:
        return True
    engine = view.engines[e, node, slot]
    if int(engine.status) == ENGINE_ASLEEP:
        return True
    return int(engine.status) == ENGINE_AWAKE and int(engine.running) < int(view.world.params[0].max_num_seqs)


@njit
def holds_back(view: View, e: int, node: int, starved: int, stage: int, step: int, level: int) -> bool:
    """Whether a starved stage keeps another from its step."""
    if starved < 0 or starved == stage:
        return False
    slot = slot_of(view, e, node, model_of(view, e, stage))
    wanted = slot_of(view, e, node, model_of(view, e, starved))
    if wanted < 0 or slot_status(view, e, node, wanted) != ENGINE_AWAKE:
        return step == STEP_ADMIT and must_drain(view, e, node, slot, starved, level)
    if int(view.world.params[0].partitioned) == 1 and slot != wanted:
        return False
    return ready_s(view, e, stage) > ready_s(view, e, starved)


@njit
def first_starved(
    view: View,
    oracle: Hidden,
    e: int,
    node: int,
    band: Callable[..., int],
    key: Callable[..., float],
    level: int,
    head_of_line: bool,
) -> int:
    """The starved stage that comes first by an order, -1 when none is."""
    best, best_band, best_key = -1, 1 << 30, math.inf
    for position in range(num_queued(view, e, node)):
        if head_of_line and not is_head(view, e, node, position):
            continue
        stage = queued_stage(view, e, node, position)
        its_band, its_key = band(view, e, stage), key(view, oracle, e, stage)
        sooner = best < 0 or is_sooner(its_band, its_key, best_band, best_key)
        if sooner and is_starved(view, e, node, position, level):
            best, best_band, best_key = stage, its_band, its_key
    return best


@njit
def first_served(
    view: View,
    oracle: Hidden,
    e: int,
    node: int,
    band: Callable[..., int],
    key: Callable[..., float],
    level: int,
    head_of_line: bool,
    starved: int,
) -> int:
    """Queue position of the stage that comes first by an order among those with a step, -1 when none has."""
    best, best_band, best_key = -1, 1 << 30, math.inf
    for position in range(num_queued(view, e, node)):
        if head_of_line and not is_head(view, e, node, position):
            continue
        stage = queued_stage(view, e, node, position)
        its_band, its_key = band(view, e, stage), key(view, oracle, e, stage)
        if best >= 0 and not is_sooner(its_band, its_key, best_band, best_key):
            continue
        step = next_step(view, e, node, position, level)
        if step != STEP_NONE and not holds_back(view, e, node, starved, stage, step, level):
            best, best_band, best_key = position, its_band, its_key
    return best


@njit
def forced_step(view: View, e: int, node: int, level: int) -> int:
    """A legal action for when waiting is not: the first admission, promotion or demotion of the queue's order."""
    for position in range(num_queued(view, e, node)):
        if can_admit(view, e, node, position, level):
            return admit_code(view, position, level)
    for position in range(num_queued(view, e, node)):
        model = model_of(view, e, queued_stage(view, e, node, position))
        if can_promote(view, e, node, model):
            return promote_code(view, model)
    for model in range(num_models(view)):
        if can_demote(view, e, node, model):
            return demote_code(view, model)
    return WAIT


@njit
def serve_queue(
    view: View,
    oracle: Hidden,
    e: int,
    band: Callable[..., int],
    key: Callable[..., float],
    level: int,
    head_of_line: bool,
) -> int:
    """The next action of a node that shares its memory between models.

    Args:
        view: What a scheduler sees.
        oracle: The true future, empty but for oracle policies.
        e: Environment.
        band: Of a stage, handed over by ``scheduling.rules.as_band``.
        key: Of a stage, handed over by ``scheduling.rules.as_key``.
        level: Reservation level of admissions.
        head_of_line: Whether only the first stage of each engine's queue may be admitted, as in vLLM.

    Returns:
        A node action code.
    """
    node = node_to_serve(view, e)
    starved = first_starved(view, oracle, e, node, band, key, level, head_of_line)
    position = first_served(view, oracle, e, node, band, key, level, head_of_line, starved)
    if position >= 0:
        if next_step(view, e, node, position, level) == STEP_PROMOTE:
            stage = queued_stage(view, e, node, position)
            return promote_code(view, model_of(view, e, stage))
        return admit_code(view, position, level)
    if not may_wait(view, e):
        return forced_step(view, e, node, level)
    return WAIT
