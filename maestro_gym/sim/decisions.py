"""The decisions of the three tiers: when they fall due, and what an action does (docs/physics.md, "The decisions")."""

from __future__ import annotations

import math

from maestro_gym.core.calendar import earliest_s, look_up, next_node, put
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import (
    ACT_ADMIT,
    ACT_DEMOTE,
    ACT_NONE,
    ACT_PROMOTE,
    ACT_REGROUP,
    ACT_WAIT,
    WAIT,
    is_reject,
    is_scaling,
    node_act,
    rejected_stage,
    scaled_node,
    sent_cluster,
    sent_stage,
)
from maestro_gym.scheduling.estimates import service_at_s
from maestro_gym.scheduling.legal import (
    any_scaling,
    can_admit,
    can_demote,
    can_promote,
    can_route,
    can_send,
)
from maestro_gym.scheduling.load_times import kv_copy_s
from maestro_gym.scheduling.sizes import admit_bytes, load_bytes, reserve_tokens
from maestro_gym.scheduling.tiers import NO_TIER, TIER_CLUSTER, TIER_CONTEXT, TIER_GLOBAL, TIER_NODE, TIER_TOOL
from maestro_gym.scheduling.tool_view import rule_tier
from maestro_gym.scheduling.view import is_handed_over, tenant_of
from maestro_gym.sim.calendar import SET, UNSET, ask_node, ask_node_later
from maestro_gym.sim.contexts import undecided_context
from maestro_gym.sim.events import handle_events, integrate, next_event_s, refresh_node
from maestro_gym.sim.handoff import next_handoff
from maestro_gym.sim.index import refresh_sets
from maestro_gym.sim.links import send_prompt
from maestro_gym.sim.memory import share_system_prompt, take_memory
from maestro_gym.sim.node_states import handle_drained, scale
from maestro_gym.sim.prospects import any_node_action, any_reject, any_send, goes_on
from maestro_gym.sim.queues import leave_global, leave_node, reject, set_out
from maestro_gym.sim.ready import pass_over, position_of
from maestro_gym.sim.reclaim import FOR_ADMISSION, FOR_LOAD, Rule, make_room
from maestro_gym.sim.regroup import apply_degree, next_for_degree
from maestro_gym.sim.residency import end_engine, sleep_engine, start_load
from maestro_gym.sim.signals import note_sent, refresh_metrics, router_to_ask
from maestro_gym.sim.steps import count_open_stretches, plan_node
from maestro_gym.sim.stretch import cut
from maestro_gym.sim.tools import contested_tool
from maestro_gym.sim.travel import carry, prompt_travel_s
from maestro_gym.state import (
    DONE_BUDGET,
    DONE_DRAINED,
    DONE_NO,
    DONE_TIME,
    ENGINE_AWAKE,
    STAGE_RUNNING,
    Hidden,
    State,
)


@njit
def _ask(state: State, e: int, tier: int, place: int) -> int:
    """Write the pending decision into the clock."""
    view = state.visible
    clock = view.clock[e]
    clock.tier = tier
    clock.place = place
    clock.router = router_to_ask(view, e)
    clock.decisions += 1
    can_wait = tier in (TIER_GLOBAL, TIER_NODE)
    clock.wait_legal = 1 if can_wait and (clock.scaling + clock.regrouping > 0 or goes_on(state, e)) else 0
    if view.world.params[0].metrics_delay_s == 0.0 and (state.core.env[e].metric_tiers >> rule_tier(tier)) & 1 == 1:
        refresh_metrics(state, e)
    if tier == TIER_NODE:
        refresh_node(state, e, place)
    else:
        refresh_sets(state, e)
    return tier


@njit
def due_decision(state: State, e: int) -> int:
    """The next decision due at this instant, written into the clock; NO_TIER when none is.

    The order is cluster for a stage that was just sent, then for those that were handed over, tools, contexts, scaling,
    degrees of boards, global, then nodes by id.
    """
    view, env = state.visible, state.core.env[e]
    if view.clock[e].stage >= 0:
        return _ask(state, e, TIER_CLUSTER, int(view.clock[e].cluster))
    if env.handoffs > 0:
        stage = next_handoff(state, e)
        if stage >= 0:
            view.clock[e].stage = stage
            view.clock[e].cluster = view.stages[e, stage].cluster
            return _ask(state, e, TIER_CLUSTER, int(view.clock[e].cluster))
    tool = contested_tool(state, e)
    if tool >= 0:
        return _ask(state, e, TIER_TOOL, tool)
    stage = undecided_context(state, e)
    if stage >= 0:
        return _ask(state, e, TIER_CONTEXT, stage)
    if any_scaling(view, e):
        return _ask(state, e, TIER_GLOBAL, 0)
    view.clock[e].scaling = 0
    node = next_for_degree(state, e)
    if node >= 0:
        return _ask(state, e, TIER_NODE, node)
    if env.global_due == 1 and view.clock[e].global_len > 0:
        if any_send(state, e) or (any_reject(state, e) and goes_on(state, e)):
            return _ask(state, e, TIER_GLOBAL, 0)
        env.global_due = 0
    node = next_node(state.core.due[e], 0, SET)
    while node >= 0:
        if view.nodes[e, node].queue_len == 0:
            put(state.core.due[e], node, UNSET)
        elif any_node_action(state, e, node):
            return _ask(state, e, TIER_NODE, node)
        else:
            ask_node_later(state, e, node)
        node = next_node(state.core.due[e], node + 1, SET)
    return NO_TIER


@njit
def _finish(state: State, e: int, reason: int) -> int:
    """End the episode."""
    for node in range(state.visible.nodes.shape[1]):
        count_open_stretches(state, e, node)
    state.core.env[e].done = reason
    state.visible.clock[e].tier = NO_TIER
    return NO_TIER


@njit
def next_decision(state: State, oracle: Hidden, e: int, reclaim: Rule) -> int:
    """Advance an environment to its next decision.

    Args:
        state: The batch.
        e: Environment.
        oracle: What the reclaim rule may read beyond the view.
        reclaim: The reclaim rule, asked when a stage outgrows its reservation.

    Returns:
        The tier that must decide, NO_TIER when the episode is over (``core.env[e].done`` says why).
    """
    view, env = state.visible, state.core.env[e]
    params = view.world.params[0]
    end_s = params.drain_cap_s if env.evaluation == 1 else params.horizon_s
    env.events = 0
    while env.done == DONE_NO:
        tier = due_decision(state, e)
        if tier != NO_TIER:
            return tier
        planned = False
        node = next_node(state.core.dirty[e], 0, SET)
        while node >= 0:
            plan_node(state, oracle, e, node, reclaim)
            planned = planned or look_up(state.core.due[e], node) == SET
            node = next_node(state.core.dirty[e], node + 1, SET)
        # Planning may have paused stages, which is for the rules to see first.
        if planned or (env.global_due == 1 and view.clock[e].global_len > 0):
            continue
        time_s = next_event_s(state, e)
        drained = state.core.counters[e].finished + state.core.counters[e].rejected == env.num_workflows
        if drained and env.evaluation == 1:
            return _finish(state, e, DONE_DRAINED)
        time_s = min(time_s, earliest_s(state.core.waits_s[e]))
        time_s = min(time_s, min(env.global_wait_until_s, min(env.next_sample_s, env.next_scrape_s)))
        time_s = min(time_s, min(env.next_signal_s, min(env.next_scale_s, env.next_regroup_s)))
        if time_s > end_s:
            integrate(state, e, end_s)
            return _finish(state, e, DONE_TIME)
        env.events += handle_events(state, e, max(time_s, view.clock[e].now_s))
        if env.events > env.event_budget:
            return _finish(state, e, DONE_BUDGET)
    return NO_TIER


@njit
def apply_global(state: State, e: int, action: int) -> bool:
    """Do a global action (codes of `actions`); False when it is not legal, then nothing happens."""
    view, env = state.visible, state.core.env[e]
    clock = view.clock[e]
    if action == WAIT:
        if clock.wait_legal == 0:
            return False
        env.global_due = 0
        clock.scaling = 0
        env.global_wait_until_s = clock.now_s + view.world.params[0].wait_max_s
        return True
    if is_scaling(view, action):
        node, starts = scaled_node(view, action)
        return scale(state, e, node, starts)
    if is_reject(view, action):
        return reject(state, e, rejected_stage(view, action))
    stage, cluster = sent_stage(view, action), sent_cluster(view, action)
    at = position_of(state, e, stage)
    if at < 0 or not can_send(view, e, stage, cluster):
        return False
    record = view.stages[e, stage]
    pass_over(state, e, stage)
    leave_global(state, e, at)
    record.sent_s = clock.now_s
    workflow = view.workflows[e, record.workflow]
    workflow.begun_s = min(workflow.begun_s, clock.now_s)
    record.cluster = cluster
    clock.stage = stage
    clock.cluster = cluster
    env.global_wait_until_s = math.inf
    return True


@njit
def apply_cluster(state: State, e: int, node: int) -> bool:
    """Send the pending stage to a node of its cluster; False when that is not legal."""
    view = state.visible
    clock = view.clock[e]
    stage = int(clock.stage)
    if node < 0 or node >= view.nodes.shape[1] or view.world.nodes[node].cluster != clock.cluster:
        return False
    if not can_route(view, e, stage, node):
        return False
    if is_handed_over(view, e, stage):
        travel_s = carry(state, e, stage, node)
        # It was perhaps the last that a node had which drains.
        if state.core.env[e].draining > 0:
            handle_drained(state, e)
    else:
        travel_s = prompt_travel_s(view, e, stage)
    set_out(state, e, node, stage)
    note_sent(state, e, node, stage)
    send_prompt(state, e, stage, travel_s)
    clock.stage = -1
    clock.cluster = -1
    return True


@njit
def _admit(state: State, oracle: Hidden, e: int, node: int, index: int, level: int, reclaim: Rule) -> bool:
    """Move a queued stage into its engine's batch; False when the reclaim rule would not make room."""
    view = state.visible
    stage = int(view.node_queue[e, node, index])
    record = view.stages[e, stage]
    slot = view.slot_of[e, node, record.model]
    delay_s = make_room(state, oracle, e, node, slot, admit_bytes(view, e, node, stage, level), FOR_ADMISSION, reclaim)
    if delay_s < 0.0:
        return False
    now_s = view.clock[e].now_s
    leave_node(state, e, node, index)
    view.nodes[e, node].running_work_s += service_at_s(view, e, node, stage)
    view.nodes[e, node].running += 1
    take_memory(state, e, node, slot, stage, reserve_tokens(view, e, node, stage, level))
    sequence = state.core.sequences[e, stage]
    copied_back_s = 0.0
    if is_handed_over(view, e, stage):
        sequence.computed_tokens = int(record.kv_tokens)
        record.kv_tokens = 0
        share_system_prompt(state, e, node, slot, stage)
    else:
        sequence.computed_tokens = sequence.begun_tokens
        copied_back_s = kv_copy_s(view, node, int(record.model), sequence.begun_tokens - sequence.hit_tokens)
        state.core.counters[e].prompt_tokens += sequence.target_tokens
        state.core.counters[e].cached_tokens += sequence.begun_tokens
    sequence.start_s = now_s + delay_s + copied_back_s + view.world.params[0].dispatch_s
    sequence.joining = view.world.params[0].schedule_ahead
    if record.admitted_s == math.inf:
        tenant = view.tenants[e, tenant_of(view, e, stage)]
        tenant.prompt_tokens += record.prompt_tokens
        tenant.cached_tokens += sequence.begun_tokens
        tenant.admitted += 1
    record.admitted_s = now_s
    record.phase = STAGE_RUNNING
    engine = view.engines[e, node, slot]
    view.batch[e, node, slot, engine.running] = stage
    engine.running += 1
    state.core.engines[e, node, slot].mapped_steps = -1
    engine.last_used_s = now_s
    view.host_models[e, view.world.nodes[node].host, record.model].last_used_s = now_s
    cut(state, e, node, slot)
    state.core.env[e].global_due = 1
    return True


@njit
def apply_node(state: State, oracle: Hidden, e: int, action: int, reclaim: Rule) -> bool:
    """Do a node action (codes of `actions`); False when it is not legal, then nothing happens.

    A legal action for which the reclaim rule will not make room counts as waiting.
    """
    view = state.visible
    node = int(view.clock[e].place)
    kind, subject, level = node_act(view, action)
    wait = kind == ACT_WAIT
    if view.clock[e].regrouping == 1:
        return apply_degree(state, e, node, kind, subject)
    if kind in (ACT_NONE, ACT_REGROUP) or (wait and view.clock[e].wait_legal == 0):
        return False
    if kind == ACT_ADMIT:
        if not can_admit(view, e, node, subject, level):
            return False
        wait = not _admit(state, oracle, e, node, subject, level, reclaim)
    elif kind == ACT_PROMOTE:
        if not can_promote(view, e, node, subject):
            return False
        slot = view.slot_of[e, node, subject]
        delay_s = make_room(state, oracle, e, node, slot, load_bytes(view, e, node, subject), FOR_LOAD, reclaim)
        if delay_s < 0.0:
            wait = True
        else:
            start_load(state, e, node, subject, delay_s)
    elif kind == ACT_DEMOTE:
        if not can_demote(view, e, node, subject):
            return False
        slot = view.slot_of[e, node, subject]
        if view.engines[e, node, slot].status == ENGINE_AWAKE:
            sleep_engine(state, e, node, slot)
        else:
            end_engine(state, e, node, slot)
    if wait:
        ask_node_later(state, e, node)
    else:
        ask_node(state, e, node)
    return True
