"""How many nodes are on, what each of them is doing, and the next step towards another number of them."""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import WAIT, start_code, stop_code
from maestro_gym.scheduling.legal import can_start, can_stop
from maestro_gym.scheduling.view import now_s, num_inbound, num_nodes, num_queued, num_ready, num_running
from maestro_gym.state import MEMORY, NODE_DRAINING, NODE_OFF, NODE_READY, NODE_STARTING, View

_NOTE: Final = MEMORY - 4
"""Place of the moment, counted from 1 s, of which the target is noted in ``view.memory``; behind it the target."""


@njit
def node_state(view: View, e: int, node: int) -> int:
    """What a node is doing, NODE_*."""
    return int(view.nodes[e, node].node_state)


@njit
def nodes_on(view: View, e: int) -> int:
    """Nodes that are ready, start or have failed: neither off nor draining."""
    return int(view.clock[e].nodes_on)


@njit
def nodes_in(view: View, e: int, state: int) -> int:
    """Nodes in a state NODE_*."""
    count = 0
    for node in range(num_nodes(view)):
        count += 1 if node_state(view, e, node) == state else 0
    return count


@njit
def stages_present(view: View, e: int) -> int:
    """Stages in the whole system: ready, on their way, waiting at a node, admitted."""
    count = num_ready(view, e)
    for node in range(num_nodes(view)):
        count += num_queued(view, e, node) + num_inbound(view, e, node) + num_running(view, e, node)
    return count


@njit
def is_new_moment(view: View, e: int) -> bool:
    """Whether this is asked for the first time since nodes may be started and stopped again."""
    if view.memory[e, _NOTE] == now_s(view, e) + 1.0:
        return False
    view.memory[e, _NOTE] = now_s(view, e) + 1.0
    return True


@njit
def note_target(view: View, e: int, nodes: int) -> None:
    """Write down how many nodes should be on until the next moment."""
    view.memory[e, _NOTE + 1] = nodes


@njit
def noted_target(view: View, e: int) -> int:
    """How many nodes should be on, as it was written down."""
    return int(view.memory[e, _NOTE + 1])


@njit
def _to_start(view: View, e: int) -> int:
    """The node to start: one that drains, which is warm, else one that is off; the lowest id; -1 when there is none."""
    best = -1
    for node in range(num_nodes(view)):
        if not can_start(view, e, node):
            continue
        drains = node_state(view, e, node) == NODE_DRAINING
        if best < 0 or (drains and node_state(view, e, best) == NODE_OFF):
            best = node
    return best


@njit
def _to_stop(view: View, e: int) -> int:
    """The node to stop: one that starts, else that with the fewest stages to serve; the highest id; -1 = none."""
    best, fewest = -1, 0
    for node in range(num_nodes(view)):
        if not can_stop(view, e, node):
            continue
        stages = num_queued(view, e, node) + num_inbound(view, e, node) + num_running(view, e, node)
        if node_state(view, e, node) == NODE_STARTING:
            stages = -1
        if best < 0 or stages <= fewest:
            best, fewest = node, stages
    return best


@njit
def step_towards(view: View, e: int, nodes: int) -> int:
    """The global action that brings the number of nodes that are on nearer to a target, ``WAIT`` when there is none."""
    on = nodes_on(view, e)
    if nodes > on:
        node = _to_start(view, e)
        return start_code(view, node) if node >= 0 else WAIT
    if nodes < on:
        node = _to_stop(view, e)
        return stop_code(view, node) if node >= 0 else WAIT
    return WAIT


@njit
def ready_or_starting(view: View, e: int) -> int:
    """Nodes that serve, or will after their start."""
    return nodes_in(view, e, NODE_READY) + nodes_in(view, e, NODE_STARTING)
