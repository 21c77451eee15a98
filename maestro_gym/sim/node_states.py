"""Nodes that come and go: what a node loses with its state, and what becomes of its stages (docs/failures.md).

A node that is not ready is in no set of nodes that have room, so nobody sends to it; one that is off or failed has an
empty queue and no engine, so nobody asks it.
"""

from __future__ import annotations

import math

from maestro_gym.core.bits import next_in
from maestro_gym.core.calendar import put
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.legal import can_start, can_stop
from maestro_gym.sim.calendar import UNSET, set_event
from maestro_gym.sim.handoff import next_lost
from maestro_gym.sim.index import note_asleep, note_room, note_tier
from maestro_gym.sim.links import turn_link
from maestro_gym.sim.memory import add_weights, give_back_memory
from maestro_gym.sim.queues import leave_node, return_global
from maestro_gym.sim.reclaim import leave_batch
from maestro_gym.sim.residency import leave_hbm, log_residency, share_host_rates, vacate
from maestro_gym.sim.steps import count_open_stretches
from maestro_gym.sim.stretch import steps_done
from maestro_gym.state import (
    CPU,
    DISK,
    ENGINE_ASLEEP,
    ENGINE_FREE,
    ENGINE_LOADING,
    LOAD_NIC,
    LOAD_NONE,
    LOAD_NVME,
    LOAD_PCIE,
    NODE_DRAINING,
    NODE_FAILED,
    NODE_OFF,
    NODE_READY,
    NODE_STARTING,
    PHASE_IDLE,
    RUNNING,
    SLEEPING,
    State,
)


@njit
def enter_state(state: State, e: int, node: int, node_state: int) -> None:
    """A node is in another state from now on."""
    record = state.visible.nodes[e, node]
    clock = state.visible.clock[e]
    before = record.node_state
    state.core.node_state_s[e, node, before] += clock.now_s - record.state_since_s
    state.core.env[e].draining += int(node_state == NODE_DRAINING) - int(before == NODE_DRAINING)
    clock.nodes_on += int(before in (NODE_OFF, NODE_DRAINING)) - int(node_state in (NODE_OFF, NODE_DRAINING))
    record.node_state = node_state
    record.state_since_s = clock.now_s
    if node_state == NODE_READY:
        state.core.env[e].global_due = 1
    note_room(state, e, node)


@njit
def _end_run(state: State, e: int, node: int, slot: int) -> None:
    """The first stage of an engine's batch is taken off, all that it has computed lost."""
    stage = int(state.visible.batch[e, node, slot, 0])
    sequence = state.core.sequences[e, stage]
    counters = state.core.counters[e]
    counters.wasted_tokens += sequence.computed_tokens - max(sequence.hit_tokens, sequence.begun_tokens)
    if sequence.scheduled_tokens > 0:
        counters.wasted_tokens += steps_done(state, e, node, slot)
    leave_batch(state, e, node, slot, 0)
    give_back_memory(state, e, node, slot, stage)
    _restart(state, e, stage)


@njit
def _restart(state: State, e: int, stage: int) -> None:
    """A stage begins from nothing, in the global queue."""
    sequence = state.core.sequences[e, stage]
    record = state.visible.stages[e, stage]
    state.core.counters[e].restarts += 1
    state.core.counters[e].wasted_tokens += record.kv_tokens
    record.kv_tokens = 0
    record.prefill_admitted_s = math.inf
    record.handed_over_s = math.inf
    sequence.first_token_s = math.inf
    sequence.computed_tokens = 0
    sequence.generated_tokens = 0
    sequence.scheduled_tokens = 0
    sequence.target_tokens = record.prompt_tokens
    # The client gets another answer, whose first token is still to come.
    record.first_token_s = math.inf
    record.generated_tokens = 0
    record.restarts += 1
    return_global(state, e, stage)


@njit
def _lose_engine(state: State, e: int, node: int, slot: int) -> None:
    """An engine without stages is gone, whatever it was doing; its weights stay where they are outside the GPUs."""
    view = state.visible
    engine = view.engines[e, node, slot]
    core = state.core.engines[e, node, slot]
    model, host = int(engine.model), int(view.world.nodes[node].host)
    source = RUNNING
    if engine.status == ENGINE_LOADING:
        source, part = core.load_from, core.load_stage
        core.load_stage = LOAD_NONE
        core.load_event_s = math.inf
        core.load_rate = 0.0
        if part in (LOAD_NIC, LOAD_NVME, LOAD_PCIE):
            share_host_rates(state, e, host, part)
    if engine.status == ENGINE_ASLEEP:
        source = SLEEPING
        add_weights(state, e, node, -view.world.params[0].sleep_bytes)
        note_asleep(state, e, node, model, False)
    else:
        leave_hbm(state, e, node, slot, 0.0)
    vacate(state, e, node, slot)
    core.event_s = math.inf
    core.steps = 0
    core.seen_steps = 0
    core.phase = PHASE_IDLE
    core.cold = 0
    log_residency(state, e, node, model, source, int(view.host_models[e, host, model].tier))


@njit
def clear_node(state: State, e: int, node: int) -> None:
    """A node loses all that it runs, loads and holds, and its stages go back to the global queue.

    Those that ran come first, then those of its queue, then those that it had prefilled for others.

    What is on its way to it comes back when it finds nobody there.
    """
    view = state.visible
    count_open_stretches(state, e, node)
    for slot in range(view.engines.shape[2]):
        while view.engines[e, node, slot].running > 0:
            _end_run(state, e, node, slot)
        if view.engines[e, node, slot].status != ENGINE_FREE:
            _lose_engine(state, e, node, slot)
        state.core.engines[e, node, slot].dirty = 0
    while view.nodes[e, node].queue_len > 0:
        stage = int(view.node_queue[e, node, 0])
        leave_node(state, e, node, 0)
        # Who was paused there had its tokens kept by the engine, who was handed over its KV by the machine.
        if state.core.sequences[e, stage].generated_tokens > 0:
            _restart(state, e, stage)
        else:
            return_global(state, e, stage)
    stage = next_lost(state, e, node)
    while stage >= 0:
        _restart(state, e, stage)
        stage = next_lost(state, e, node)
    for calendar in (state.core.due[e], state.core.waits_s[e], state.core.dirty[e]):
        put(calendar, node, UNSET)
    set_event(state, e, node, math.inf)


@njit
def _lose_page_cache(state: State, e: int, host: int) -> None:
    """A machine is without power: of what it held outside its GPUs only the drive is left."""
    for model in range(state.visible.host_models.shape[2]):
        if state.visible.host_models[e, host, model].tier == CPU:
            note_tier(state, e, host, model, DISK)


@njit
def switch_off(state: State, e: int, node: int) -> None:
    """A node is off from now on; with the last one of its machine the page cache goes."""
    view = state.visible
    enter_state(state, e, node, NODE_OFF)
    host = int(view.world.nodes[node].host)
    other = next_in(state.core.host_nodes[e, host], -1)
    while other >= 0 and view.nodes[e, other].node_state == NODE_OFF:
        other = next_in(state.core.host_nodes[e, host], other)
    if other < 0:
        _lose_page_cache(state, e, host)
    clear_node(state, e, node)


@njit
def _note_starts(state: State, e: int) -> None:
    """Write when the next starting node is ready; who starts no longer has no such time."""
    next_s = math.inf
    for node in range(state.visible.nodes.shape[1]):
        record = state.visible.nodes[e, node]
        if record.node_state != NODE_STARTING:
            record.started_s = math.inf
        next_s = min(next_s, record.started_s)
    state.core.env[e].next_start_s = next_s


@njit
def _fail(state: State, e: int, node: int) -> None:
    """An outage of a node begins; one that is off does not notice, one that drains is given back."""
    record = state.visible.nodes[e, node]
    state.core.nodes[e, node].outages += 1
    before = record.node_state
    if before in (NODE_OFF, NODE_FAILED):
        return
    state.core.counters[e].node_failures += 1
    if before == NODE_DRAINING:
        switch_off(state, e, node)
        return
    enter_state(state, e, node, NODE_FAILED)
    clear_node(state, e, node)
    _note_starts(state, e)


@njit
def _repair(state: State, e: int, node: int) -> None:
    """An outage of a node ends; when it was the last one, the node is ready, with nothing on its GPUs."""
    core = state.core.nodes[e, node]
    core.outages -= 1
    if core.outages == 0 and state.visible.nodes[e, node].node_state == NODE_FAILED:
        enter_state(state, e, node, NODE_READY)


@njit
def handle_outages(state: State, e: int, until_s: float) -> int:
    """Let outages begin and end that are due; how many."""
    env = state.core.env[e]
    count = 0
    while env.outage_next < env.num_outages and state.hidden.outages[e, env.outage_next].time_s <= until_s:
        outage = state.hidden.outages[e, env.outage_next]
        env.outage_next += 1
        count += 1
        if outage.host < 0:
            turn_link(state, e, int(outage.cluster), int(outage.other), int(outage.fails))
            continue
        if outage.node < 0 and outage.fails == 1:
            _lose_page_cache(state, e, int(outage.host))
        node = next_in(state.core.host_nodes[e, outage.host], -1)
        while node >= 0:
            if outage.node < 0 or outage.node == node:
                if outage.fails == 1:
                    _fail(state, e, node)
                else:
                    _repair(state, e, node)
            node = next_in(state.core.host_nodes[e, outage.host], node)
    return count


@njit
def begin_start(state: State, e: int, node: int, start_s: float) -> None:
    """A node that is off starts, which takes so long."""
    enter_state(state, e, node, NODE_STARTING)
    state.visible.nodes[e, node].started_s = state.visible.clock[e].now_s + start_s
    _note_starts(state, e)


@njit
def _start_node(state: State, e: int, node: int) -> None:
    """Start a node that is off, or call one back that drains."""
    state.core.counters[e].node_starts += 1
    if state.visible.nodes[e, node].node_state == NODE_DRAINING:
        enter_state(state, e, node, NODE_READY)
        return
    begin_start(state, e, node, state.visible.world.params[0].node_start_s)


@njit
def is_drained(state: State, e: int, node: int) -> bool:
    """Whether a node has nothing waiting, on its way, or running."""
    record = state.visible.nodes[e, node]
    return record.queue_len + record.inbound + record.running + state.core.nodes[e, node].handoffs == 0


@njit
def _stop_node(state: State, e: int, node: int) -> None:
    """Stop a node: at once when it starts or has nothing to do, else when it has done what it has."""
    record = state.visible.nodes[e, node]
    state.core.counters[e].node_stops += 1
    if record.node_state == NODE_STARTING or is_drained(state, e, node):
        switch_off(state, e, node)
        _note_starts(state, e)
    else:
        enter_state(state, e, node, NODE_DRAINING)


@njit
def scale(state: State, e: int, node: int, starts: bool) -> bool:
    """Start or stop a node; False when that is not legal, then nothing happens."""
    view = state.visible
    if node < 0 or not (can_start(view, e, node) if starts else can_stop(view, e, node)):
        return False
    if starts:
        _start_node(state, e, node)
    else:
        _stop_node(state, e, node)
    return True


@njit
def handle_starts(state: State, e: int, until_s: float) -> int:
    """Let nodes be ready whose start is over; how many. One that is in an outage by then has failed."""
    count = 0
    for node in range(state.visible.nodes.shape[1]):
        if state.visible.nodes[e, node].started_s <= until_s:
            count += 1
            enter_state(state, e, node, NODE_FAILED if state.core.nodes[e, node].outages > 0 else NODE_READY)
    _note_starts(state, e)
    return count


@njit
def handle_drained(state: State, e: int) -> None:
    """Switch nodes off that drain and have done what they had; those of a board go together (`sim.regroup`)."""
    view = state.visible
    for node in range(view.nodes.shape[1]):
        drains = view.nodes[e, node].node_state == NODE_DRAINING
        if drains and view.world.nodes[node].board < 0 and is_drained(state, e, node):
            switch_off(state, e, node)
