"""What a node rule may count on: memory that others can spare, and who must drain for whom.

An engine may be put to sleep for a stage when it is idle and its model has no stage waiting here;
a stage that has waited out its patience may also take the place of models whose waiting stages are
younger than itself. Both together make progress certain and keep two models from chasing each
other out of the memory.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.jit import njit
from maestro_gym.schema import ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_FREE, View
from maestro_gym.sim.estimates import (
    admit_bytes,
    free_kv_bytes,
    load_bytes,
    load_room_bytes,
    ready_time_s,
    sleep_frees_bytes,
)
from maestro_gym.sim.legal import can_admit, can_promote

PATIENCE_S: Final = 2.0
"""Least wait before engines drain for a stage; else as long as its model takes to be ready (modelling choice)."""

STEP_NONE, STEP_ADMIT, STEP_PROMOTE = range(3)


@njit
def oldest_waiting_s(view: View, e: int, node: int, model: int) -> float:
    """When the oldest stage of a model in a node's queue became ready; inf when none waits."""
    oldest_s = math.inf
    for q in range(int(view.nodes[e, node].queue_len)):
        stage = int(view.node_queue[e, node, q])
        if int(view.stages[e, stage].model) == model:
            oldest_s = min(oldest_s, float(view.stages[e, stage].ready_s))
    return oldest_s


@njit
def is_overdue(view: View, e: int, node: int, stage: int) -> bool:
    """Whether a stage has waited on a node for longer than its patience."""
    waited_s = float(view.clock[e].now_s) - float(view.stages[e, stage].queued_s)
    ready_s = float(ready_time_s(view, e, node, int(view.stages[e, stage].model)))
    return waited_s > max(PATIENCE_S, ready_s)


@njit
def gives_way(view: View, e: int, node: int, slot: int, before_s: float) -> bool:
    """Whether the model of a slot is wanted by nobody, or only by stages that became ready after ``before_s``."""
    oldest_s = oldest_waiting_s(view, e, node, int(view.engines[e, node, slot].model))
    return oldest_s == math.inf or oldest_s > before_s


@njit
def spare_bytes(view: View, e: int, node: int, keep_model: int, before_s: float) -> float:
    """HBM bytes of idle and sleeping engines that give way."""
    total = 0.0
    sleep_bytes = float(view.world.params[0].sleep_bytes)
    for slot in range(view.engines.shape[2]):
        engine = view.engines[e, node, slot]
        status = int(engine.status)
        if int(engine.model) == keep_model or int(engine.running) > 0:
            continue
        if status not in (ENGINE_ASLEEP, ENGINE_AWAKE) or not gives_way(view, e, node, slot, before_s):
            continue
        total += sleep_bytes
        if status == ENGINE_AWAKE:
            total += float(sleep_frees_bytes(view, e, node, slot))
    return total


@njit
def has_spare_slot(view: View, e: int, node: int, model: int, before_s: float) -> bool:
    """Whether a model has an engine slot on a node, or one that gives way."""
    if int(view.slot_of[e, node, model]) >= 0:
        return True
    for slot in range(view.engines.shape[2]):
        engine = view.engines[e, node, slot]
        status = int(engine.status)
        if status == ENGINE_FREE:
            return True
        idle = status == ENGINE_ASLEEP or (status == ENGINE_AWAKE and int(engine.running) == 0)
        if idle and gives_way(view, e, node, slot, before_s):
            return True
    return False


@njit
def needed_bytes(view: View, e: int, node: int, stage: int, level: int) -> float:
    """HBM bytes that serving a stage takes beyond what is booked: its model's load if any, and its reservation."""
    slot = int(view.slot_of[e, node, int(view.stages[e, stage].model)])
    need = float(admit_bytes(view, e, node, stage, level))
    if slot >= 0 and int(view.engines[e, node, slot].status) == ENGINE_AWAKE:
        return need
    load = float(load_bytes(view, e, node, int(view.stages[e, stage].model)))
    return load if int(view.world.params[0].partitioned) == 1 else load + need


@njit
def next_step(view: View, e: int, node: int, position: int, level: int) -> int:
    """What can be done now for the stage at a queue position without harm to those who must not give way.

    Returns:
        ``STEP_ADMIT``, ``STEP_PROMOTE`` of its model, or ``STEP_NONE``.
    """
    stage = int(view.node_queue[e, node, position])
    model = int(view.stages[e, stage].model)
    before_s = float(view.stages[e, stage].ready_s) if is_overdue(view, e, node, stage) else math.inf
    need = needed_bytes(view, e, node, stage, level)
    slot = int(view.slot_of[e, node, model])
    if slot >= 0 and int(view.engines[e, node, slot].status) == ENGINE_AWAKE:
        if not can_admit(view, e, node, position, level):
            return STEP_NONE
        room = float(free_kv_bytes(view, e, node, slot))
        if need <= room or need <= room + spare_bytes(view, e, node, model, before_s):
            return STEP_ADMIT
        return STEP_NONE
    if not can_promote(view, e, node, model) or not has_spare_slot(view, e, node, model, before_s):
        return STEP_NONE
    room = float(load_room_bytes(view, e, node))
    if need <= room or need <= room + spare_bytes(view, e, node, model, before_s):
        return STEP_PROMOTE
    return STEP_NONE


@njit
def must_drain(view: View, e: int, node: int, slot: int, stage: int, level: int) -> bool:
    """Whether an engine must take nothing new so that an overdue stage gets its memory.

    The engines with the fewest running stages drain first, as many as it takes.
    """
    model = int(view.stages[e, stage].model)
    before_s = float(view.stages[e, stage].ready_s)
    mine = view.engines[e, node, slot]
    if int(mine.model) == model or not gives_way(view, e, node, slot, before_s):
        return False
    missing = needed_bytes(view, e, node, stage, level) - float(load_room_bytes(view, e, node))
    for other in range(view.engines.shape[2]):
        engine = view.engines[e, node, other]
        if other == slot or int(engine.status) != ENGINE_AWAKE or int(engine.model) == model:
            continue
        fewer = int(engine.running) < int(mine.running) or (int(engine.running) == int(mine.running) and other < slot)
        if fewer and gives_way(view, e, node, other, before_s):
            missing -= float(sleep_frees_bytes(view, e, node, other))
            if missing <= 0.0:
                return False
    return True
