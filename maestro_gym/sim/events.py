"""Simulated time: what happens between decisions, in its order (docs/physics.md, "The decisions")."""

from __future__ import annotations

import math

from maestro_gym.core.calendar import earliest_s, next_node, put
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.tool_view import tool_of_role
from maestro_gym.scheduling.view import (
    tenant_of,
)
from maestro_gym.sim.calendar import ask_node, find_event, plan_later
from maestro_gym.sim.contexts import let_go
from maestro_gym.sim.heap import pop
from maestro_gym.sim.links import see_answer
from maestro_gym.sim.node_states import handle_drained, handle_outages, handle_starts
from maestro_gym.sim.queues import join_global, join_node
from maestro_gym.sim.ready import tell_siblings
from maestro_gym.sim.regroup import begin_moment, handle_regrouping
from maestro_gym.sim.residency import advance_load
from maestro_gym.sim.signals import handle_signals, refresh_metrics
from maestro_gym.sim.steps import mapped_bytes, settle, show_progress
from maestro_gym.sim.stretch import TIE_S
from maestro_gym.sim.tools import ask_for_place, return_place, run_tool
from maestro_gym.state import (
    ENGINE_AWAKE,
    INTERACTIVE,
    NODE_OFF,
    STAGE_DELIVERY,
    STAGE_FINISHED,
    STAGE_GAP,
    STAGE_TRANSIT,
    State,
)


@njit
def integrate(state: State, e: int, time_s: float) -> None:
    """Run the integrals up to a time, at which the clock then stands."""
    env = state.core.env[e]
    counters = state.core.counters[e]
    elapsed_s = time_s - env.integrated_s
    counters.weighted_residence += counters.weight_in_system * elapsed_s
    counters.kv_reserved_byte_s += env.kv_reserved_bytes * elapsed_s
    counters.kv_used_byte_s += env.kv_shared_bytes * elapsed_s
    counters.kv_virtual_byte_s += env.kv_virtual_bytes * elapsed_s
    counters.weights_byte_s += env.weights_bytes * elapsed_s
    if elapsed_s > TIE_S:  # what lasts no time is no peak
        counters.kv_reserved_peak_bytes = max(counters.kv_reserved_peak_bytes, env.kv_reserved_bytes)
        counters.kv_virtual_peak_bytes = max(counters.kv_virtual_peak_bytes, env.kv_virtual_bytes)
    env.integrated_s = time_s
    state.visible.clock[e].now_s = time_s


@njit
def _make_ready(state: State, e: int, stage: int) -> None:
    """A stage's parents are done and its gap has passed: it becomes visible, in the global queue."""
    truth = state.hidden.stages[e, stage]
    prediction = state.hidden.predictions[e, stage]
    record = state.visible.stages[e, stage]
    record.workflow = truth.workflow
    record.cls = state.visible.workflows[e, truth.workflow].cls
    record.role = truth.role
    record.model = truth.model
    record.prompt_tokens = truth.prompt_tokens
    record.max_output_tokens = truth.max_output_tokens
    record.invocation_index = truth.invocation_index
    record.depth = truth.depth
    record.tools_available = truth.tools_available
    record.tool = tool_of_role(state.visible, int(truth.role))
    record.sys_group = truth.sys_group
    record.sys_prefix_tokens = truth.sys_prefix_tokens
    record.ctx_group = truth.ctx_group
    record.ctx_prefix_tokens = truth.ctx_prefix_tokens
    record.remaining_s_q50 = prediction.remaining_s_q50
    record.remaining_s_q90 = prediction.remaining_s_q90
    record.future_s_q50 = prediction.future_s_q50
    record.future_s_q90 = prediction.future_s_q90
    record.output_q50_tokens = prediction.output_q50_tokens
    record.output_q90_tokens = prediction.output_q90_tokens
    record.remaining_calls = prediction.remaining_calls
    record.remaining_input_tokens = prediction.remaining_input_tokens
    record.remaining_output_tokens = prediction.remaining_output_tokens
    record.tool_probability = prediction.tool_probability
    record.ready_s = state.visible.clock[e].now_s
    state.core.sequences[e, stage].target_tokens = truth.prompt_tokens
    join_global(state, e, stage)


@njit
def _arrive(state: State, e: int, workflow: int) -> None:
    """A workflow arrives; its roots are ready."""
    truth = state.hidden.workflows[e, workflow]
    record = state.visible.workflows[e, workflow]
    record.arrival_s = truth.arrival_s
    record.deadline_s = truth.deadline_s
    record.ttft_limit_s = truth.ttft_limit_s
    record.weight = truth.weight
    record.cls = truth.cls
    record.application = truth.application
    record.tenant = truth.tenant
    record.ingress_cluster = truth.ingress_cluster
    counters = state.core.counters[e]
    counters.arrived += 1
    counters.weight_in_system += truth.weight
    state.core.workflows_left[e, workflow] = truth.num_stages
    for stage in range(truth.first_stage, truth.first_stage + truth.num_stages):
        parents = state.hidden.truth[e, stage].num_parents
        state.core.sequences[e, stage].parents_left = parents
        if parents == 0:
            _make_ready(state, e, stage)


@njit
def _deliver(state: State, e: int, stage: int) -> None:
    """The controller has a stage's answer: its tool runs or is asked for, or its workflow is done."""
    now_s = state.visible.clock[e].now_s
    record = state.visible.stages[e, stage]
    workflow = state.visible.workflows[e, record.workflow]
    counters = state.core.counters[e]
    record.finished_s = now_s
    see_answer(state, e, stage)
    counters.stages_finished += 1
    tenant = state.visible.tenants[e, tenant_of(state.visible, e, stage)]
    tenant.output_tokens += record.generated_tokens
    tenant.answered += 1
    workflow.stages_done += 1
    tell_siblings(state, e, int(record.workflow))
    workflow.attained_s += now_s - record.admitted_s
    workflow.last_node = record.node
    if record.cls == INTERACTIVE:
        if record.first_token_s - record.ready_s <= workflow.ttft_limit_s:
            counters.ttft_met_weight += workflow.weight
        else:
            counters.ttft_missed_weight += workflow.weight
    state.core.workflows_left[e, record.workflow] -= 1
    if state.core.workflows_left[e, record.workflow] == 0:
        workflow.finished_s = now_s
        counters.finished += 1
        counters.weight_in_system -= workflow.weight
        if now_s <= workflow.deadline_s:
            counters.slo_met_weight += workflow.weight
        else:
            counters.slo_missed_weight += workflow.weight
    truth = state.hidden.truth[e, stage]
    if truth.num_children == 0:
        record.phase = STAGE_FINISHED
    elif record.tool >= 0 and truth.tool_intent == 1:
        ask_for_place(state, e, stage)
    else:
        run_tool(state, e, stage)


@njit
def _end_gap(state: State, e: int, stage: int) -> None:
    """A stage's tool has answered: children without other open parents are ready."""
    record = state.visible.stages[e, stage]
    record.phase = STAGE_FINISHED
    if record.tool_started_s < math.inf:
        return_place(state, e, stage)
    truth = state.hidden.truth[e, stage]
    for i in range(truth.child_start, truth.child_start + truth.num_children):
        child = state.hidden.children[e, i]
        state.core.sequences[e, child].parents_left -= 1
        if state.core.sequences[e, child].parents_left == 0:
            _make_ready(state, e, child)


@njit
def _pop_stage_event(state: State, e: int) -> None:
    """Handle the earliest timed stage event."""
    stage = int(pop(state, e))
    phase = state.visible.stages[e, stage].phase
    if phase == STAGE_DELIVERY:
        _deliver(state, e, stage)
    elif phase == STAGE_GAP:
        _end_gap(state, e, stage)
    elif phase == STAGE_TRANSIT:
        join_node(state, e, stage)


@njit
def refresh_node(state: State, e: int, node: int) -> None:
    """Bring the streamed tokens of a node's running stages in the view up to now."""
    for slot in range(state.visible.engines.shape[2]):
        if state.visible.engines[e, node, slot].running > 0:
            show_progress(state, e, node, slot)


@njit
def _take_sample(state: State, e: int) -> None:
    """Append a row to the time series while it has room."""
    env = state.core.env[e]
    view = state.visible
    if env.samples >= state.core.samples.shape[1]:
        return
    at = env.samples
    row = state.core.samples[e, at]
    env.samples += 1
    row.time_s = view.clock[e].now_s
    row.kv_reserved_bytes = env.kv_reserved_bytes
    row.kv_virtual_bytes = env.kv_virtual_bytes
    row.weights_bytes = env.weights_bytes
    row.ready = view.clock[e].global_len
    counters = state.core.counters[e]
    row.workflows = counters.arrived - counters.finished - counters.rejected
    for node in range(view.nodes.shape[1]):
        record = view.nodes[e, node]
        # The GPUs of a node of a board that is off are those of others.
        if record.node_state != NODE_OFF or view.world.nodes[node].board < 0:
            row.kv_pool_bytes += record.kv_pool_bytes
        row.queued += record.queue_len + record.inbound
        row.running += record.running
        used = 0.0
        for slot in range(view.engines.shape[2]):
            if view.engines[e, node, slot].status == ENGINE_AWAKE:
                used += mapped_bytes(state, e, node, slot)
        row.kv_used_bytes += used
        if at < state.core.node_samples.shape[1]:
            own = state.core.node_samples[e, at, node]
            own.kv_used_bytes = used
            own.kv_reserved_bytes = record.kv_reserved_bytes
            own.kv_pool_bytes = record.kv_pool_bytes
            own.queued = record.queue_len + record.inbound
            own.running = record.running


@njit
def next_event_s(state: State, e: int) -> float:
    """Time of the next event that the world itself brings, inf when nothing is pending."""
    time_s = earliest_s(state.core.events_s[e])
    env = state.core.env[e]
    if env.heap_len > 0:
        time_s = min(time_s, state.core.heap_s[e, 0])
    if env.arrival_next < env.num_workflows:
        time_s = min(time_s, state.hidden.workflows[e, env.arrival_next].arrival_s)
    if env.outage_next < env.num_outages:
        time_s = min(time_s, state.hidden.outages[e, env.outage_next].time_s)
    return min(time_s, env.next_start_s)


@njit
def handle_events(state: State, e: int, time_s: float) -> int:
    """Advance the clock to a time and handle all that happens then; the number of events.

    Order at one instant: engine steps (completion, memory release), load ends, timed stage events
    (delivery, gap end, arrival at a node), workflow arrivals, outages, nodes that are ready or drained; ties by id.
    """
    integrate(state, e, time_s)
    view, core = state.visible, state.core
    until_s = time_s + TIE_S
    count = 0
    events_s = core.events_s[e]
    node = next_node(events_s, 0, until_s)
    while node >= 0:
        for slot in range(view.engines.shape[2]):
            engine = core.engines[e, node, slot]
            if engine.event_s <= until_s:
                count += 1
                if engine.steps > 0:
                    settle(state, e, node, slot)
                else:
                    engine.event_s = math.inf
                    engine.dirty = 1
                    plan_later(state, e, node)
            if engine.held_until_s <= until_s:
                count += 1
                let_go(state, e, node, slot, until_s)
        node = next_node(events_s, node + 1, until_s)
    node = next_node(events_s, 0, until_s)
    while node >= 0:
        for slot in range(view.engines.shape[2]):
            if core.engines[e, node, slot].load_event_s <= until_s:
                count += 1
                if advance_load(state, e, node, slot):
                    ask_node(state, e, node)
                    core.env[e].global_due = 1
        node = next_node(events_s, node + 1, until_s)
    env = core.env[e]
    while env.heap_len > 0 and core.heap_s[e, 0] <= until_s:
        count += 1
        _pop_stage_event(state, e)
    while env.arrival_next < env.num_workflows:
        if state.hidden.workflows[e, env.arrival_next].arrival_s > until_s:
            break
        count += 1
        _arrive(state, e, env.arrival_next)
        env.arrival_next += 1
    node = next_node(events_s, 0, until_s)
    while node >= 0:
        find_event(state, e, node)
        node = next_node(events_s, node + 1, until_s)
    count += handle_outages(state, e, until_s)
    if env.next_start_s <= until_s:
        count += handle_starts(state, e, until_s)
    if env.draining > 0:
        handle_drained(state, e)
        handle_regrouping(state, e)
    node = next_node(core.waits_s[e], 0, until_s)
    while node >= 0:
        ask_node(state, e, node)
        put(core.waits_s[e], node, math.inf)
        node = next_node(core.waits_s[e], node + 1, until_s)
    if env.global_wait_until_s <= until_s:
        env.global_due = 1
        env.global_wait_until_s = math.inf
    if env.next_scale_s <= until_s:
        view.clock[e].scaling = 1
        env.next_scale_s += view.world.params[0].scale_period_s
    if env.next_regroup_s <= until_s:
        begin_moment(state, e)
        env.next_regroup_s += view.world.params[0].regroup_period_s
    if env.next_scrape_s <= until_s:
        refresh_metrics(state, e)
        env.next_scrape_s += view.world.params[0].metrics_delay_s
    if env.next_signal_s <= until_s:
        handle_signals(state, e, until_s)
    if env.next_sample_s <= until_s:
        _take_sample(state, e)
        env.next_sample_s += view.world.params[0].sample_period_s
    core.counters[e].events += count
    return count
