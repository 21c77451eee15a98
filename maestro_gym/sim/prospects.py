"""Whether there is anything to decide now, and whether anything else is going to happen."""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.legal import can_admit, can_promote, can_reject, can_route, may_reject
from maestro_gym.scheduling.sets import next_roomy
from maestro_gym.sim.events import next_event_s
from maestro_gym.state import ENGINE_ASLEEP, RESERVE_PROMPT, State


@njit
def any_send(state: State, e: int) -> bool:
    """Whether some waiting stage may be sent to some cluster."""
    view = state.visible
    for i in range(view.clock[e].global_len):
        node = next_roomy(view, e, -1, -1)
        if node < 0:
            return False
        while node >= 0:
            if can_route(view, e, int(view.global_queue[e, i]), node):
                return True
            node = next_roomy(view, e, -1, node)
    return False


@njit
def any_reject(state: State, e: int) -> bool:
    """Whether some waiting stage's workflow may be turned away."""
    view = state.visible
    if not may_reject(view):
        return False
    for i in range(view.clock[e].global_len):  # noqa: SIM110 - numba compiles no generator expression
        if can_reject(view, e, int(view.global_queue[e, i])):
            return True
    return False


@njit
def any_node_action(state: State, e: int, node: int) -> bool:
    """Whether a node can do anything for a stage that waits there: admit it, or promote its model."""
    view = state.visible
    for i in range(view.nodes[e, node].queue_len):
        model = int(view.stages[e, view.node_queue[e, node, i]].model)
        slot = view.slot_of[e, node, model]
        if slot < 0 or view.engines[e, node, slot].status == ENGINE_ASLEEP:
            if can_promote(view, e, node, model):
                return True
        elif can_admit(view, e, node, i, RESERVE_PROMPT):
            # No level takes less memory than this one.
            return True
    return False


@njit
def goes_on(state: State, e: int) -> bool:
    """Whether something else is going to happen, so that waiting is no end."""
    view = state.visible
    if state.core.env[e].heap_len > 0 or next_event_s(state, e) < math.inf:
        return True
    # Stages admitted at this very instant are planned when time goes on.
    for node in range(view.nodes.shape[1]):
        for slot in range(view.engines.shape[2]):
            if state.core.engines[e, node, slot].dirty == 1 and view.engines[e, node, slot].running > 0:
                return True
    return False
