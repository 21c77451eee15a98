"""No-Colocation: a node whose memory belongs to one model at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

from maestro_gym.baselines.late_binding.room import is_overdue, oldest_waiting_s, start_time_s
from maestro_gym.baselines.late_binding.serve import forced_step
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import WAIT, admit_code, demote_code, promote_code
from maestro_gym.scheduling.legal import can_admit, can_demote, can_promote
from maestro_gym.scheduling.rules import NodeRule
from maestro_gym.scheduling.view import (
    may_wait,
    model_of,
    node_to_serve,
    num_queued,
    num_slots,
    queued_stage,
    ready_s,
    slot_model,
    slot_status,
)
from maestro_gym.state import ENGINE_AWAKE, ENGINE_LOADING, RESERVE_ADAPTIVE, Hidden, View


@njit
def tenant_slot(view: View, e: int, node: int) -> int:
    """Engine slot of the model that owns the node, -1 when it is vacant.

    One that is loading or has running stages owns it; of several idle ones (as placed at the
    start) the one with the oldest waiting stage, then the last used.
    """
    best, best_oldest_s, best_used_s = -1, math.inf, -math.inf
    for slot in range(num_slots(view)):
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
    for q in range(num_queued(view, e, node)):
        stage = queued_stage(view, e, node, q)
        if model_of(view, e, stage) != model and ready_s(view, e, stage) < best_s:
            best, best_s = stage, ready_s(view, e, stage)
    return best


@njit
def first_of_tenant(view: View, oracle: Hidden, e: int, node: int, model: int, key: Callable[..., float]) -> int:
    """Queue position of the owner's stage with the least key, the earlier place on a tie; -1 when it has none."""
    best, best_key = -1, math.inf
    for position in range(num_queued(view, e, node)):
        stage = queued_stage(view, e, node, position)
        if model_of(view, e, stage) != model:
            continue
        its_key = key(view, oracle, e, stage)
        if best < 0 or its_key < best_key:
            best, best_key = position, its_key
    return best


@njit
def serve_tenant(
    view: View, oracle: Hidden, e: int, node: int, slot: int, key: Callable[..., float], level: int
) -> int:
    """The next action of a node that a model owns: serve it, or hand the node over."""
    model = slot_model(view, e, node, slot)
    other = first_of_others(view, e, node, model)
    hand_over = other >= 0 and is_overdue(view, e, other, start_time_s(view, e, node, other))
    position = first_of_tenant(view, oracle, e, node, model, key)
    other_s = ready_s(view, e, other) if hand_over else math.inf
    if position >= 0 and ready_s(view, e, queued_stage(view, e, node, position)) <= other_s:  # noqa: SIM102
        if can_admit(view, e, node, position, level):
            return admit_code(view, position, level)
    if other >= 0 and (hand_over or oldest_waiting_s(view, e, node, model) == math.inf):  # noqa: SIM102
        if can_demote(view, e, node, model):
            return demote_code(view, model)
    return WAIT


@njit
def serve_exclusively(view: View, oracle: Hidden, e: int, key: Callable[..., float], level: int) -> int:
    """Serve the model that owns the node, hand the node over, or make the first model RUNNING on a vacant one.

    Args:
        view: What a scheduler sees.
        oracle: The true future, empty but for oracle policies.
        e: Environment.
        key: Of a stage, ``(view, oracle, e, stage)``; the owner's least is admitted first.
        level: Reservation level of admissions.

    Returns:
        A node action code.
    """
    node = node_to_serve(view, e)
    slot = tenant_slot(view, e, node)
    action = WAIT
    if slot < 0:
        stage = first_of_others(view, e, node, -1)
        if stage >= 0 and can_promote(view, e, node, model_of(view, e, stage)):
            action = promote_code(view, model_of(view, e, stage))
    else:
        for other in range(num_slots(view)):
            if other == slot or slot_status(view, e, node, other) != ENGINE_AWAKE:
                continue
            if can_demote(view, e, node, slot_model(view, e, node, other)):
                return demote_code(view, slot_model(view, e, node, other))
        action = serve_tenant(view, oracle, e, node, slot, key, level)
    if action == WAIT and not may_wait(view, e):
        return forced_step(view, e, node, level)
    return action


@njit
def comes_first(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """The same for all: the queue keeps its order."""
    return 0.0


@njit
def decide(view: View, oracle: Hidden, e: int) -> int:
    """First come, first served, with adaptive reservations."""
    return serve_exclusively(view, oracle, e, comes_first, RESERVE_ADAPTIVE)


RULE = NodeRule(
    decide=decide,
    name="exclusive",
    information="P",
    description="one model RUNNING at a time, FCFS, adaptive reservation, whole-node swaps",
    source="Maestro's No-Colocation baseline",
    choice="a waiting model takes over when the owner has no work or the wait exceeds max(2 s, T_ready)",
    rival=False,
)
