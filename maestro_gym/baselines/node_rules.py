"""Node rules: which waiting stage is admitted, at which reservation, and which model is made ready.

One law for all of them, so that they differ in what they are named for: of the stages for which
something can be done now, the first in order gets it (admission, or promotion of its model). A
stage that has outwaited its patience makes others hold back: engines drain for a model that finds
no room, and younger stages leave memory to one that does not fit.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.keys import is_sooner, order_band, order_key
from maestro_gym.baselines.room import (
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
from maestro_gym.scheduling.policy import RuleFunction
from maestro_gym.state import ENGINE_ASLEEP, ENGINE_AWAKE, Hidden, View


@njit
def is_head(view: View, e: int, node: int, position: int) -> bool:
    """Whether no stage of the same model stands before a queue position: the head of its engine's queue."""
    model = int(view.stages[e, int(view.node_queue[e, node, position])].model)
    for earlier in range(position):
        if int(view.stages[e, int(view.node_queue[e, node, earlier])].model) == model:
            return False
    return True


@njit
def is_starved(view: View, e: int, node: int, position: int, level: int) -> bool:
    """Whether the stage at a queue position is overdue and held up by lack of memory or of a slot."""
    stage = int(view.node_queue[e, node, position])
    if (
        not is_overdue(view, e, stage, start_time_s(view, e, node, stage))
        or next_step(view, e, node, position, level) != STEP_NONE
    ):
        return False
    slot = int(view.slot_of[e, node, int(view.stages[e, stage].model)])
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
    slot = int(view.slot_of[e, node, int(view.stages[e, stage].model)])
    wanted = int(view.slot_of[e, node, int(view.stages[e, starved].model)])
    if wanted < 0 or int(view.engines[e, node, wanted].status) != ENGINE_AWAKE:
        return step == STEP_ADMIT and must_drain(view, e, node, slot, starved, level)
    if int(view.world.params[0].partitioned) == 1 and slot != wanted:
        return False
    return float(view.stages[e, stage].ready_s) > float(view.stages[e, starved].ready_s)


@njit
def first_starved(view: View, oracle: Hidden, e: int, node: int, order: int, level: int, head_of_line: bool) -> int:
    """The starved stage that comes first by an order, -1 when none is."""
    best, best_band, best_key = -1, 1 << 30, math.inf
    for position in range(int(view.nodes[e, node].queue_len)):
        if head_of_line and not is_head(view, e, node, position):
            continue
        stage = int(view.node_queue[e, node, position])
        band = order_band(view, e, stage, order)
        key = order_key(view, oracle, e, stage, order)
        sooner = best < 0 or is_sooner(band, key, best_band, best_key)
        if sooner and is_starved(view, e, node, position, level):
            best, best_band, best_key = stage, band, key
    return best


@njit
def first_served(
    view: View, oracle: Hidden, e: int, node: int, order: int, level: int, head_of_line: bool, starved: int
) -> int:
    """Queue position of the stage that comes first by an order among those with a step, -1 when none has."""
    best, best_band, best_key = -1, 1 << 30, math.inf
    for position in range(int(view.nodes[e, node].queue_len)):
        if head_of_line and not is_head(view, e, node, position):
            continue
        stage = int(view.node_queue[e, node, position])
        band = order_band(view, e, stage, order)
        key = order_key(view, oracle, e, stage, order)
        if best >= 0 and not is_sooner(band, key, best_band, best_key):
            continue
        step = next_step(view, e, node, position, level)
        if step != STEP_NONE and not holds_back(view, e, node, starved, stage, step, level):
            best, best_band, best_key = position, band, key
    return best


@njit
def forced_step(view: View, e: int, node: int, level: int) -> int:
    """A legal action for when waiting is not: the first admission, promotion or demotion of the queue's order."""
    for position in range(int(view.nodes[e, node].queue_len)):
        if can_admit(view, e, node, position, level):
            return admit_code(view, position, level)
    for position in range(int(view.nodes[e, node].queue_len)):
        model = int(view.stages[e, int(view.node_queue[e, node, position])].model)
        if can_promote(view, e, node, model):
            return promote_code(view, model)
    for model in range(view.world.models.shape[0]):
        if can_demote(view, e, node, model):
            return demote_code(view, model)
    return WAIT


@njit
def serve_queue(view: View, oracle: Hidden, e: int, order: int, level: int, head_of_line: bool) -> int:
    """The next action of a node that shares its memory between models.

    Args:
        view: what a scheduler sees.
        oracle: the true future, empty but for oracle policies.
        e: environment.
        order: one of ``keys.ORDER_*``.
        level: reservation level of admissions.
        head_of_line: whether only the first stage of each engine's queue may be admitted, as in vLLM.

    Returns:
        A node action code.
    """
    node = int(view.clock[e].place)
    starved = first_starved(view, oracle, e, node, order, level, head_of_line)
    position = first_served(view, oracle, e, node, order, level, head_of_line, starved)
    if position >= 0:
        if next_step(view, e, node, position, level) == STEP_PROMOTE:
            stage = int(view.node_queue[e, node, position])
            return promote_code(view, int(view.stages[e, stage].model))
        return admit_code(view, position, level)
    if int(view.clock[e].wait_legal) == 0:
        return forced_step(view, e, node, level)
    return WAIT


def make_node_rule(order: int, level: int, head_of_line: bool) -> RuleFunction:
    """Node rule with an order of admission (``ORDER_*``) and a reservation level (``RESERVE_*``).

    Args:
        order: which waiting stage comes first.
        level: what an admission sets aside.
        head_of_line: True admits only the head of each engine's queue (vLLM), False what fits.
    """

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        return serve_queue(view, oracle, e, order, level, head_of_line)

    return rule
