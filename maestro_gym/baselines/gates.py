"""Late binding: to which nodes a stage is open, given where its model is.

A stage on a node without its model takes a queue place that a stage of a RUNNING model would use at
once, and makes engines drain. So residency-aware policies hold such a stage in the global queue
until a node can start its model without harm, or until it has waited as long as the start takes
(the break-even of waiting for a warm node and starting another); and a node takes stages of one
absent model at a time, for half its queue. All of this is a modelling choice; it is the same for
Maestro and its residency-aware rivals.
"""

from __future__ import annotations

from maestro_gym.baselines.room import can_start, is_overdue
from maestro_gym.baselines.static_placement import is_home
from maestro_gym.jit import njit
from maestro_gym.schema import ENGINE_AWAKE, ENGINE_LOADING, RESERVE_ADAPTIVE, View
from maestro_gym.sim.legal import can_route

GATE_NONE, GATE_WARM, GATE_SAFE, GATE_HOME = range(4)


@njit
def is_warm(view: View, e: int, node: int, model: int) -> bool:
    """Whether a model is RUNNING on a node or being loaded."""
    slot = int(view.slot_of[e, node, model])
    return slot >= 0 and int(view.engines[e, node, slot].status) in (ENGINE_AWAKE, ENGINE_LOADING)


@njit
def is_warm_somewhere(view: View, e: int, model: int) -> bool:
    """Whether a model is RUNNING or being loaded anywhere in the fleet."""
    for node in range(view.world.nodes.shape[0]):  # noqa: SIM110 - numba compiles no generator expression
        if is_warm(view, e, node, model):
            return True
    return False


@njit
def takes_newcomer(view: View, e: int, node: int, model: int) -> bool:
    """Whether a node has a place for a stage of a model that is not warm there."""
    newcomers = 0
    for q in range(int(view.nodes[e, node].queue_len)):
        other = int(view.stages[e, int(view.node_queue[e, node, q])].model)
        if is_warm(view, e, node, other):
            continue
        if other != model:
            return False
        newcomers += 1
    return newcomers < max(1, int(view.world.params[0].node_queue_limit) // 2)


@njit
def is_open(view: View, e: int, stage: int, node: int, gate: int) -> bool:
    """Whether a stage may go to a node now under a gate.

    ``GATE_NONE``: wherever there is room. ``GATE_WARM``: to a node without its model only when no node
    has it and one can start it, or when the stage is overdue. ``GATE_SAFE`` (Maestro, F3): also when
    some node has it, if this one can start it without harm. ``GATE_HOME``: to its home nodes only.
    """
    if not can_route(view, e, stage, node):
        return False
    if gate == GATE_NONE:
        return True
    model = int(view.stages[e, stage].model)
    if gate == GATE_HOME and not is_home(view, model, node):
        return False
    if is_warm(view, e, node, model):
        return True
    if not takes_newcomer(view, e, node, model):
        return False
    if gate == GATE_HOME or is_overdue(view, e, node, stage):
        return True
    if gate == GATE_WARM and is_warm_somewhere(view, e, model):
        return False
    return can_start(view, e, node, stage, RESERVE_ADAPTIVE, False)
