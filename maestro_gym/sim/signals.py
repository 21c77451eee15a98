"""What routers know by scrapes: a copy is taken, travels, stands until the next is known (docs/stale_signals.md).

Every router has copies of its own, taken at moments of its own. A workflow belongs to one router.
"""

from __future__ import annotations

import math

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import service_at_s
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL, TIER_TOOL
from maestro_gym.scheduling.tool_view import first_at_tool
from maestro_gym.scheduling.view import (
    num_ready,
    ready_stage,
    slot_of,
    slot_status,
    workflow_of,
)
from maestro_gym.sim.steps import mapped_bytes
from maestro_gym.sim.stretch import TIE_S, next_boundary_s
from maestro_gym.state import (
    ENGINE_AWAKE,
    ENGINE_FREE,
    NUM_SIGNALS,
    SIGNAL_QUEUES,
    SIGNAL_RESIDENCY,
    SIGNAL_RUNNING,
    State,
    View,
)


@njit
def router_of(view: View, e: int, stage: int) -> int:
    """The router of a stage: workflows are given to routers in turn, in the order of their arrival."""
    return workflow_of(view, e, stage) % int(view.world.params[0].routers)


@njit
def router_to_ask(view: View, e: int) -> int:
    """The router whose decision is pending, tier and place of which the clock has.

    That of the stage which is routed, of the call that asked first for a place of the tool, of the first stage in the
    global queue.
    """
    clock = view.clock[e]
    if clock.tier == TIER_CLUSTER:
        return router_of(view, e, int(clock.stage))
    if clock.tier == TIER_TOOL:
        return router_of(view, e, first_at_tool(view, e, int(clock.place)))
    if clock.tier == TIER_GLOBAL and num_ready(view, e) > 0:
        return router_of(view, e, ready_stage(view, e, 0))
    return 0


@njit
def refresh_metrics(state: State, e: int) -> None:
    """Scrape: bring the metric fields of the view up to now, at the nodes where they have changed."""
    view = state.visible
    until_s = state.core.metrics_until_s[e]
    for node in range(view.nodes.shape[1]):
        if view.clock[e].now_s + 2.0 * TIE_S < until_s[node]:
            continue
        used, until_s[node] = 0.0, math.inf
        for slot in range(view.engines.shape[2]):
            engine = view.engines[e, node, slot]
            if engine.status == ENGINE_AWAKE:
                engine.kv_used_bytes = mapped_bytes(state, e, node, slot)
                used += engine.kv_used_bytes
                until_s[node] = min(until_s[node], next_boundary_s(state, e, node, slot))
            else:
                engine.kv_used_bytes = 0.0
        view.nodes[e, node].kv_used_bytes = used


@njit
def _copy_signals(source: np.record, copy: np.record, kind: int) -> None:
    """Copy what a kind of signals says of a node; residency is no part of the record."""
    if kind == SIGNAL_QUEUES:
        copy.queue_len = source.queue_len
        copy.inbound = source.inbound
        copy.queued_work_s = source.queued_work_s
    elif kind == SIGNAL_RUNNING:
        copy.running = source.running
        copy.running_work_s = source.running_work_s
        copy.kv_used_bytes = source.kv_used_bytes
        copy.kv_cached_bytes = source.kv_cached_bytes


@njit
def _scrape(state: State, e: int, router: int, kind: int) -> None:
    """A router takes a copy of a kind of signals at all nodes."""
    view = state.visible
    if kind == SIGNAL_RUNNING:
        refresh_metrics(state, e)
    for node in range(view.nodes.shape[1]):
        _copy_signals(view.nodes[e, node], state.core.underway[e, router, node], kind)
        if kind == SIGNAL_RESIDENCY:
            for model in range(view.slot_of.shape[2]):
                slot = slot_of(view, e, node, model)
                status = slot_status(view, e, node, slot) if slot >= 0 else ENGINE_FREE
                state.core.underway_status[e, router, node, model] = status


@njit
def _make_known(state: State, e: int, router: int, kind: int) -> None:
    """Let a router know what it scraped last."""
    view = state.visible
    for node in range(view.nodes.shape[1]):
        _copy_signals(state.core.underway[e, router, node], view.scraped[e, router, node], kind)
        if kind == SIGNAL_RESIDENCY:
            for model in range(view.slot_of.shape[2]):
                status = state.core.underway_status[e, router, node, model]
                view.scraped_status[e, router, node, model] = status


@njit
def note_sent(state: State, e: int, node: int, stage: int) -> None:
    """A router sends a stage to a node, and counts it where routers know what they sent (`signals.own_sends`).

    In what it knows, and in the scrape that is on its way to it; a later scrape has it.
    """
    view = state.visible
    if view.world.params[0].own_sends == 0:
        return
    router, work_s = router_of(view, e, stage), service_at_s(view, e, node, stage)
    known, underway = view.scraped[e, router, node], state.core.underway[e, router, node]
    known.inbound += 1
    underway.inbound += 1
    known.queued_work_s += work_s
    underway.queued_work_s += work_s


@njit
def _note_next(state: State, e: int) -> None:
    """Write when the next kind of signals is scraped or known by a router."""
    core, next_s = state.core, math.inf
    for router in range(core.scrape_s.shape[1]):
        for kind in range(NUM_SIGNALS):
            next_s = min(next_s, min(core.scrape_s[e, router, kind], core.known_s[e, router, kind]))
    core.env[e].next_signal_s = next_s


@njit
def begin_signals(state: State, e: int) -> None:
    """Let the routers know the fleet as an episode begins; their first scrapes are spread over a period."""
    routers = state.core.scrape_s.shape[1]
    for router in range(routers):
        for kind in range(NUM_SIGNALS):
            period_s = state.visible.world.signals[kind].period_s
            if period_s > 0.0:
                _scrape(state, e, router, kind)
                _make_known(state, e, router, kind)
                state.core.scrape_s[e, router, kind] = period_s * ((router + 1) / routers)
    _note_next(state, e)


@njit
def handle_signals(state: State, e: int, until_s: float) -> None:
    """Do the scrapes that are due, and let those be known whose way is over."""
    core = state.core
    for router in range(core.scrape_s.shape[1]):
        for kind in range(NUM_SIGNALS):
            if core.known_s[e, router, kind] <= until_s:
                _make_known(state, e, router, kind)
                core.known_s[e, router, kind] = math.inf
            if core.scrape_s[e, router, kind] <= until_s:
                signal = state.visible.world.signals[kind]
                _scrape(state, e, router, kind)
                if signal.delay_s > 0.0:
                    core.known_s[e, router, kind] = core.scrape_s[e, router, kind] + signal.delay_s
                else:
                    _make_known(state, e, router, kind)
                core.scrape_s[e, router, kind] += signal.period_s
    _note_next(state, e)
