"""What a node rule may count on: memory that others can spare, and who must drain for whom.

An engine may be put to sleep for a stage when no stage waits here for its model and it has been idle
for as long as the newcomer's model takes to be ready. A stage that has itself waited that long may
also displace a model that fell idle just now, or one whose waiting stages are younger and which has
stayed for that time. So every stage is served in the end, and two models do not chase each other out
of the memory: to wait, idle and stay as long as a change costs is the break-even rule of renting or
buying.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.baselines.late_binding.holds import PATIENCE, is_kept
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import ready_time_s
from maestro_gym.scheduling.legal import can_admit, can_promote
from maestro_gym.scheduling.sizes import admit_bytes, free_kv_bytes, load_bytes, load_room_bytes, sleep_frees_bytes
from maestro_gym.scheduling.view import (
    model_of,
    now_s,
    num_queued,
    num_slots,
    num_waiting,
    number,
    queued_stage,
    ready_s,
    slot_of,
    slot_status,
    waited_s,
)
from maestro_gym.state import ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_FREE, View

PATIENCE_S: Final = 2.0
"""Least patience of a stage; else as long as its model takes to be ready (modelling choice)."""

STEP_NONE, STEP_ADMIT, STEP_PROMOTE = range(3)


@njit
def oldest_waiting_s(view: View, e: int, node: int, model: int) -> float:
    """When the oldest stage of a model in a node's queue became ready; inf when none waits."""
    oldest_s = math.inf
    if num_waiting(view, e, node, model) == 0:
        return oldest_s
    for q in range(num_queued(view, e, node)):
        stage = queued_stage(view, e, node, q)
        if model_of(view, e, stage) == model:
            oldest_s = min(oldest_s, ready_s(view, e, stage))
    return oldest_s


@njit
def start_time_s(view: View, e: int, node: int, stage: int) -> float:
    """T_ready of the model of a stage on a node: what a change to it costs in time."""
    return ready_time_s(view, e, node, model_of(view, e, stage))


@njit
def is_overdue(view: View, e: int, stage: int, start_s: float) -> bool:
    """Whether a stage has waited, from its readiness, for longer than a change costs."""
    return waited_s(view, e, stage) > max(PATIENCE_S + number(view, e, PATIENCE), start_s)


@njit
def gives_way(view: View, e: int, node: int, slot: int, stage: int, start_s: float, overdue: bool) -> bool:
    """Whether the engine of a slot may be displaced for a stage, once it is idle.

    Args:
        view: What a scheduler sees.
        e: Environment.
        node: The node.
        slot: Engine slot with a model.
        stage: The stage that needs room.
        start_s: Its ``start_time_s``.
        overdue: Whether its patience is out.
    """
    engine = view.engines[e, node, slot]
    if is_kept(view, e, node, slot, model_of(view, e, stage)):
        return False
    if not overdue and now_s(view, e) - float(engine.last_used_s) < start_s:
        return False
    oldest_s = oldest_waiting_s(view, e, node, int(engine.model))
    if oldest_s == math.inf:
        return True
    return overdue and oldest_s > ready_s(view, e, stage) and now_s(view, e) - float(engine.ready_s) >= start_s


@njit
def spare_bytes(view: View, e: int, node: int, stage: int, start_s: float, overdue: bool) -> float:
    """HBM bytes that a stage may claim from idle engines; for an overdue one from sleepers' residue too.

    The residue counts only when no idle engine is left out, as sleepers are ended last.
    """
    model = model_of(view, e, stage)
    total, residue, left_out = 0.0, 0.0, False
    sleep_bytes = float(view.world.params[0].sleep_bytes)
    for slot in range(num_slots(view)):
        engine = view.engines[e, node, slot]
        status = int(engine.status)
        if int(engine.model) == model or int(engine.running) > 0:
            continue
        if status == ENGINE_ASLEEP:
            residue += sleep_bytes
        elif status == ENGINE_AWAKE:
            if gives_way(view, e, node, slot, stage, start_s, overdue):
                total += sleep_frees_bytes(view, e, node, slot)
                residue += sleep_bytes
            else:
                left_out = True
    return total if left_out or not overdue else total + residue


@njit
def has_spare_slot(view: View, e: int, node: int, stage: int, start_s: float, overdue: bool) -> bool:
    """Whether the model of a stage has an engine slot on a node, or one that a stage may claim."""
    if slot_of(view, e, node, model_of(view, e, stage)) >= 0:
        return True
    for slot in range(num_slots(view)):
        engine = view.engines[e, node, slot]
        status = int(engine.status)
        if status in (ENGINE_FREE, ENGINE_ASLEEP):
            return True
        if (
            status == ENGINE_AWAKE
            and int(engine.running) == 0
            and gives_way(view, e, node, slot, stage, start_s, overdue)
        ):
            return True
    return False


@njit
def needed_bytes(view: View, e: int, node: int, stage: int, level: int) -> float:
    """HBM bytes that serving a stage takes beyond what is booked: its model's load if any, and its reservation."""
    slot = slot_of(view, e, node, model_of(view, e, stage))
    need = admit_bytes(view, e, node, stage, level)
    if slot >= 0 and slot_status(view, e, node, slot) == ENGINE_AWAKE:
        return need
    load = load_bytes(view, e, node, model_of(view, e, stage))
    return load if int(view.world.params[0].partitioned) == 1 else load + need


@njit
def can_start(view: View, e: int, node: int, stage: int, level: int, overdue: bool) -> bool:
    """Whether the model of a stage can be promoted now at the cost of those who give way only."""
    start_s = start_time_s(view, e, node, stage)
    if not can_promote(view, e, node, model_of(view, e, stage)):
        return False
    if not has_spare_slot(view, e, node, stage, start_s, overdue):
        return False
    need = needed_bytes(view, e, node, stage, level)
    room = load_room_bytes(view, e, node)
    return need <= room or need <= room + spare_bytes(view, e, node, stage, start_s, overdue)


@njit
def next_step(view: View, e: int, node: int, position: int, level: int) -> int:
    """What can be done now for the stage at a queue position at the cost of those who give way only.

    Returns:
        ``STEP_ADMIT``, ``STEP_PROMOTE`` of its model, or ``STEP_NONE``.
    """
    stage = queued_stage(view, e, node, position)
    start_s = start_time_s(view, e, node, stage)
    overdue = is_overdue(view, e, stage, start_s)
    slot = slot_of(view, e, node, model_of(view, e, stage))
    if slot < 0 or slot_status(view, e, node, slot) != ENGINE_AWAKE:
        return STEP_PROMOTE if can_start(view, e, node, stage, level, overdue) else STEP_NONE
    if not can_admit(view, e, node, position, level):
        return STEP_NONE
    need = needed_bytes(view, e, node, stage, level)
    room = free_kv_bytes(view, e, node, slot)
    if need <= room or need <= room + spare_bytes(view, e, node, stage, start_s, overdue):
        return STEP_ADMIT
    return STEP_NONE


@njit
def must_drain(view: View, e: int, node: int, slot: int, stage: int, level: int) -> bool:
    """Whether an engine must take nothing new so that an overdue stage gets its memory.

    The engines with the fewest running stages drain first, as many as it takes.
    """
    model = model_of(view, e, stage)
    start_s = start_time_s(view, e, node, stage)
    mine = view.engines[e, node, slot]
    if int(mine.model) == model or not gives_way(view, e, node, slot, stage, start_s, True):
        return False
    missing = needed_bytes(view, e, node, stage, level) - load_room_bytes(view, e, node)
    for other in range(num_slots(view)):
        engine = view.engines[e, node, other]
        if other == slot or int(engine.status) != ENGINE_AWAKE or int(engine.model) == model:
            continue
        fewer = int(engine.running) < int(mine.running) or (int(engine.running) == int(mine.running) and other < slot)
        if fewer and gives_way(view, e, node, other, stage, start_s, True):
            missing -= sleep_frees_bytes(view, e, node, other)
            if missing <= 0.0:
                return False
    return True
