"""What routers know by scrapes: a copy is taken, travels, stands until the next is known (docs/stale_signals.md)."""

from __future__ import annotations

import math

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import slot_of, slot_status
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
)


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
def _scrape(state: State, e: int, kind: int) -> None:
    """Take a copy of a kind of signals at all nodes."""
    view = state.visible
    if kind == SIGNAL_RUNNING:
        refresh_metrics(state, e)
    for node in range(view.nodes.shape[1]):
        _copy_signals(view.nodes[e, node], state.core.underway[e, node], kind)
        if kind == SIGNAL_RESIDENCY:
            for model in range(view.slot_of.shape[2]):
                slot = slot_of(view, e, node, model)
                status = slot_status(view, e, node, slot) if slot >= 0 else ENGINE_FREE
                state.core.underway_status[e, node, model] = status


@njit
def _make_known(state: State, e: int, kind: int) -> None:
    """Let the routers know what was scraped last."""
    view = state.visible
    for node in range(view.nodes.shape[1]):
        _copy_signals(state.core.underway[e, node], view.scraped[e, node], kind)
        if kind == SIGNAL_RESIDENCY:
            for model in range(view.slot_of.shape[2]):
                view.scraped_status[e, node, model] = state.core.underway_status[e, node, model]


@njit
def _note_next(state: State, e: int) -> None:
    """Write when the next kind of signals is scraped or known."""
    next_s = math.inf
    for kind in range(NUM_SIGNALS):
        next_s = min(next_s, min(state.core.scrape_s[e, kind], state.core.known_s[e, kind]))
    state.core.env[e].next_signal_s = next_s


@njit
def begin_signals(state: State, e: int) -> None:
    """Let the routers know the fleet as an episode begins; the first scrapes follow a period later."""
    for kind in range(NUM_SIGNALS):
        period_s = state.visible.world.signals[kind].period_s
        if period_s > 0.0:
            _scrape(state, e, kind)
            _make_known(state, e, kind)
            state.core.scrape_s[e, kind] = period_s
    _note_next(state, e)


@njit
def handle_signals(state: State, e: int, until_s: float) -> None:
    """Do the scrapes that are due, and let those be known whose way is over."""
    core = state.core
    for kind in range(NUM_SIGNALS):
        if core.known_s[e, kind] <= until_s:
            _make_known(state, e, kind)
            core.known_s[e, kind] = math.inf
        if core.scrape_s[e, kind] <= until_s:
            signal = state.visible.world.signals[kind]
            _scrape(state, e, kind)
            if signal.delay_s > 0.0:
                core.known_s[e, kind] = core.scrape_s[e, kind] + signal.delay_s
            else:
                _make_known(state, e, kind)
            core.scrape_s[e, kind] += signal.period_s
    _note_next(state, e)
