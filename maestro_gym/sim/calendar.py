"""When each node must be looked at: four calendars over the nodes, so that nothing scans the fleet.

A flag is a calendar too: its time is before all others, or never.
"""

from __future__ import annotations

import math

from maestro_gym.core.calendar import look_up, put
from maestro_gym.core.compile import njit
from maestro_gym.state import State

SET, UNSET = -math.inf, math.inf
"""Times of a flag."""


@njit
def set_event(state: State, e: int, node: int, time_s: float) -> None:
    """A node's earliest event is at a time."""
    put(state.core.events_s[e], node, time_s)


@njit
def bring_event(state: State, e: int, node: int, time_s: float) -> None:
    """A node has an event at a time, which may be its earliest."""
    if time_s < look_up(state.core.events_s[e], node):
        put(state.core.events_s[e], node, time_s)


@njit
def find_event(state: State, e: int, node: int) -> None:
    """Look up when a node's earliest event is: a step's or a load's end, or that of a held context."""
    event_s = math.inf
    for slot in range(state.visible.engines.shape[2]):
        engine = state.core.engines[e, node, slot]
        event_s = min(event_s, min(min(engine.event_s, engine.load_event_s), engine.held_until_s))
    set_event(state, e, node, event_s)


@njit
def ask_node(state: State, e: int, node: int) -> None:
    """A node's rule must be asked at this instant."""
    put(state.core.due[e], node, SET)


@njit
def ask_node_later(state: State, e: int, node: int) -> None:
    """A node's rule waits: it is asked again when something happens there, or in ``wait_max_s``."""
    put(state.core.due[e], node, UNSET)
    put(state.core.waits_s[e], node, state.visible.clock[e].now_s + state.visible.world.params[0].wait_max_s)


@njit
def plan_later(state: State, e: int, node: int) -> None:
    """An engine of a node must be planned before time goes on."""
    put(state.core.dirty[e], node, SET)
    state.core.metrics_until_s[e, node] = -math.inf
