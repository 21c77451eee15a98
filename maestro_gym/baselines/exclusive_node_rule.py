"""No-Colocation: a node whose memory belongs to one model at a time."""

from __future__ import annotations

import math

from maestro_gym.baselines.node_rules import forced_step, is_head
from maestro_gym.baselines.room import is_overdue, oldest_waiting_s, start_time_s
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import WAIT, admit_code, demote_code, promote_code
from maestro_gym.scheduling.legal import can_admit, can_demote, can_promote
from maestro_gym.scheduling.policy import RuleFunction
from maestro_gym.state import ENGINE_AWAKE, ENGINE_LOADING, Hidden, View


@njit
def tenant_slot(view: View, e: int, node: int) -> int:
    """Engine slot of the model that owns the node, -1 when it is vacant.

    One that is loading or has running stages owns it; of several idle ones (as placed at the
    start) the one with the oldest waiting stage, then the last used.
    """
    best, best_oldest_s, best_used_s = -1, math.inf, -math.inf
    for slot in range(view.engines.shape[2]):
        engine = view.engines[e, node, slot]
        status = int(engine.status)
        if status == ENGINE_LOADING or int(engine.running) > 0:
            return slot
        if status != ENGINE_AWAKE:
            continue
        oldest_s = oldest_waiting_s(view, e, node, int(engine.model))
        used_s = float(engine.last_used_s)
        if best < 0 or oldest_s < best_oldest_s or (oldest_s == best_oldest_s and used_s > best_used_s):
            best, best_oldest_s, best_used_s = slot, oldest_s, used_s
    return best


@njit
def first_of_others(view: View, e: int, node: int, model: int) -> int:
    """The waiting stage of another model that became ready first, -1 when none waits."""
    best, best_s = -1, math.inf
    for q in range(int(view.nodes[e, node].queue_len)):
        stage = int(view.node_queue[e, node, q])
        if int(view.stages[e, stage].model) != model and float(view.stages[e, stage].ready_s) < best_s:
            best, best_s = stage, float(view.stages[e, stage].ready_s)
    return best


@njit
def serve_tenant(view: View, e: int, node: int, slot: int, level: int) -> int:
    """The next action of a node that a model owns: serve it, or hand the node over."""
    model = int(view.engines[e, node, slot].model)
    other = first_of_others(view, e, node, model)
    hand_over = other >= 0 and is_overdue(view, e, other, start_time_s(view, e, node, other))
    other_s = float(view.stages[e, other].ready_s) if hand_over else math.inf
    for position in range(int(view.nodes[e, node].queue_len)):
        stage = int(view.node_queue[e, node, position])
        if int(view.stages[e, stage].model) != model or not is_head(view, e, node, position):
            continue
        if float(view.stages[e, stage].ready_s) <= other_s and can_admit(view, e, node, position, level):
            return admit_code(view, position, level)
    if other >= 0 and (hand_over or oldest_waiting_s(view, e, node, model) == math.inf):  # noqa: SIM102
        if can_demote(view, e, node, model):
            return demote_code(view, model)
    return WAIT


def make_exclusive_rule(level: int) -> RuleFunction:
    """Node rule with at most one model RUNNING: FCFS admission at a reservation level, whole-node swaps."""

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        node = int(view.clock[e].place)
        slot = tenant_slot(view, e, node)
        action = WAIT
        if slot < 0:
            stage = first_of_others(view, e, node, -1)
            if stage >= 0 and can_promote(view, e, node, int(view.stages[e, stage].model)):
                action = promote_code(view, int(view.stages[e, stage].model))
        else:
            for other in range(view.engines.shape[2]):
                engine = view.engines[e, node, other]
                if other == slot or int(engine.status) != ENGINE_AWAKE:
                    continue
                if can_demote(view, e, node, int(engine.model)):
                    return demote_code(view, int(engine.model))
            action = serve_tenant(view, e, node, slot, level)
        if action == WAIT and int(view.clock[e].wait_legal) == 0:
            return forced_step(view, e, node, level)
        return action

    return rule
