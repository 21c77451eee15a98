"""Where stages wait: the global queue and the nodes' queues, and what is counted of them for each model and tenant."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import service_at_s
from maestro_gym.scheduling.legal import can_reject
from maestro_gym.scheduling.view import is_handed_over, takes_calls, tenant_of
from maestro_gym.sim.calendar import ask_node
from maestro_gym.sim.index import note_room
from maestro_gym.sim.ready import enlist, position_of, strike
from maestro_gym.state import NODE_DRAINING, NODE_READY, STAGE_QUEUED, STAGE_READY, STAGE_REJECTED, STAGE_TRANSIT, State


@njit
def join_global(state: State, e: int, stage: int) -> None:
    """A stage waits in the global queue, behind all others; the global rule is asked."""
    view = state.visible
    record = view.stages[e, stage]
    record.phase = STAGE_READY
    clock = view.clock[e]
    view.global_queue[e, clock.global_len] = stage
    clock.global_len += 1
    model = view.models[e, record.model]
    model.ready += 1
    model.returned += record.preemptions > 0
    model.ready_sum_s += record.ready_s
    view.tenants[e, tenant_of(view, e, stage)].ready += 1
    enlist(state, e, stage)
    state.core.env[e].global_due = 1


@njit
def leave_global(state: State, e: int, index: int) -> None:
    """The stage at a place of the global queue leaves it."""
    view = state.visible
    stage = int(view.global_queue[e, index])
    strike(state, e, stage)
    record = view.stages[e, stage]
    clock = view.clock[e]
    clock.global_len -= 1
    # Of a slice, where no place is below zero: the compiler moves many places at a time.
    behind = view.global_queue[e, index : clock.global_len + 1]
    for i in range(behind.shape[0] - 1):
        behind[i] = behind[i + 1]
    model = view.models[e, record.model]
    model.ready -= 1
    model.returned -= record.preemptions > 0
    # Exactly zero when none is left, so that rounding does not add up over an episode.
    model.ready_sum_s = model.ready_sum_s - record.ready_s if model.ready > 0 else 0.0
    view.tenants[e, tenant_of(view, e, stage)].ready -= 1


@njit
def turn_away(state: State, e: int, index: int) -> None:
    """The stage at a place of the global queue leaves it for good: its workflow is rejected."""
    view = state.visible
    stage = int(view.global_queue[e, index])
    leave_global(state, e, index)
    view.stages[e, stage].phase = STAGE_REJECTED


@njit
def reject(state: State, e: int, stage: int) -> bool:
    """Turn the workflow of a stage away: all that waits of it leaves; False when that is not legal."""
    view, counters = state.visible, state.core.counters[e]
    if position_of(state, e, stage) < 0 or not can_reject(view, e, stage):
        return False
    workflow = int(view.stages[e, stage].workflow)
    truth = state.hidden.workflows[e, workflow]
    for root in range(truth.first_stage, truth.first_stage + truth.num_stages):
        at = position_of(state, e, root)
        if at >= 0:
            turn_away(state, e, at)
    record = view.workflows[e, workflow]
    record.rejected_s = view.clock[e].now_s
    counters.rejected += 1
    counters.weight_in_system -= record.weight
    counters.slo_missed_weight += record.weight
    # Else whoever rejects would be spared the residence of what is late.
    counters.weighted_residence += record.weight * max(0.0, record.deadline_s - record.rejected_s)
    return True


@njit
def _await(state: State, e: int, node: int, stage: int) -> None:
    """A stage is its node's from now on, and waits for its admission."""
    view = state.visible
    model = view.stages[e, stage].model
    view.waiting[e, node, model] += 1
    view.models[e, model].waiting += takes_calls(view, node)
    view.nodes[e, node].queued_work_s += service_at_s(view, e, node, stage)
    note_room(state, e, node)


@njit
def _await_no_longer(state: State, e: int, node: int, stage: int) -> None:
    """A stage that waited for its admission at a node does so no longer."""
    view = state.visible
    model = view.stages[e, stage].model
    record = view.nodes[e, node]
    view.waiting[e, node, model] -= 1
    view.models[e, model].waiting -= takes_calls(view, node)
    record.queued_work_s -= service_at_s(view, e, node, stage)
    if record.queue_len + record.inbound == 0:
        record.queued_work_s = 0.0
    note_room(state, e, node)


@njit
def return_global(state: State, e: int, stage: int) -> None:
    """A stage that was at a node, or on its way there, waits in the global queue again; KV that it brought is lost."""
    record = state.visible.stages[e, stage]
    if is_handed_over(state.visible, e, stage):
        sequence = state.core.sequences[e, stage]
        sequence.target_tokens = int(record.prompt_tokens) + sequence.generated_tokens
        record.kv_tokens = 0
    record.node = -1
    record.cluster = -1
    join_global(state, e, stage)


@njit
def set_out(state: State, e: int, node: int, stage: int) -> None:
    """A stage sets out for a node."""
    record = state.visible.stages[e, stage]
    record.node = node
    record.phase = STAGE_TRANSIT
    state.visible.nodes[e, node].inbound += 1
    _await(state, e, node, stage)


@njit
def join_node(state: State, e: int, stage: int) -> None:
    """A stage that had set out reaches its node's queue, or finds the node gone and comes back."""
    view = state.visible
    record = view.stages[e, stage]
    node = view.nodes[e, record.node]
    node.inbound -= 1
    if node.node_state not in (NODE_READY, NODE_DRAINING):
        _await_no_longer(state, e, int(record.node), stage)
        return_global(state, e, stage)
        return
    view.node_queue[e, record.node, node.queue_len] = stage
    node.queue_len += 1
    record.queued_s = view.clock[e].now_s
    record.phase = STAGE_QUEUED
    ask_node(state, e, int(record.node))


@njit
def rejoin_node(state: State, e: int, node: int, stage: int) -> None:
    """A stage that was taken off its engine goes to the head of its node's queue."""
    view = state.visible
    record = view.nodes[e, node]
    for i in range(record.queue_len, 0, -1):
        view.node_queue[e, node, i] = view.node_queue[e, node, i - 1]
    view.node_queue[e, node, 0] = stage
    record.queue_len += 1
    view.stages[e, stage].phase = STAGE_QUEUED
    _await(state, e, node, stage)


@njit
def leave_node(state: State, e: int, node: int, index: int) -> None:
    """The stage at a place of a node's queue leaves it."""
    view = state.visible
    stage = int(view.node_queue[e, node, index])
    record = view.nodes[e, node]
    record.queue_len -= 1
    for i in range(index, record.queue_len):
        view.node_queue[e, node, i] = view.node_queue[e, node, i + 1]
    _await_no_longer(state, e, node, stage)
