"""Levers on late binding that a policy may be given numbers for: holds, what an idle engine keeps, replicas, patience.

Each number is 0 where a policy is given none, and then binds nothing. What they are worth is in docs/searched.md; they
come from a search over whole episodes and not from the literature.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.baselines.late_binding.network import NUM_NETWORK, moves
from maestro_gym.baselines.late_binding.slack import is_pressing, pressing_from_s
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.view import model_of, nodes_there, now_s, num_ready, num_slots, num_waiting, number
from maestro_gym.state import ENGINE_AWAKE, ENGINE_LOADING, View

(
    STAGES_CAP,
    STAGES_CAP_PER_READY,
    RESERVE,
    ENGINES_CAP,
    ENGINES_CAP_PER_READY,
    KEEP,
    STAY,
    REPLICATE,
    PATIENCE,
) = range(NUM_NETWORK, NUM_NETWORK + 9)
"""Places of the numbers in ``view.numbers``; those of the rest of a family follow."""

NUM_HOLDS = NUM_NETWORK + 9

LEAST_SHARE: Final = 0.35
"""Share of the cap on stages that a backlog leaves: a cap that falls without end serves nobody, and all wait longer."""


@njit
def ready_a_node(view: View, e: int) -> float:
    """Stages in the global queue for each node: how far behind the fleet is."""
    return num_ready(view, e) / nodes_there(view, e)


@njit
def is_active(view: View, e: int, node: int, slot: int) -> bool:
    """Whether an engine serves stages, or was sent some."""
    engine = view.engines[e, node, slot]
    if int(engine.status) not in (ENGINE_AWAKE, ENGINE_LOADING):
        return False
    return int(engine.running) > 0 or num_waiting(view, e, node, int(engine.model)) > 0


@njit
def active_others(view: View, e: int, node: int, model: int) -> int:
    """Active engines of a node that serve other models."""
    count = 0
    for slot in range(num_slots(view)):
        if int(view.engines[e, node, slot].model) != model and is_active(view, e, node, slot):
            count += 1
    return count


@njit
def serves(view: View, e: int, node: int, model: int) -> bool:
    """Whether a node has an active engine of a model, or stages of it on their way."""
    slot = int(view.slot_of[e, node, model])
    return num_waiting(view, e, node, model) > 0 or (slot >= 0 and is_active(view, e, node, slot))


@njit
def leaves_places(view: View, e: int, stage: int) -> bool:
    """Whether a stage leaves the places of a node that are kept for pressing ones."""
    return number(view, e, RESERVE) > 0.0 and not is_pressing(view, e, stage)


@njit
def takes_kept_places_from_s(view: View, e: int, stage: int) -> float:
    """The time before which a stage that waits surely leaves the places that are kept for pressing ones [s]."""
    return pressing_from_s(view, e, stage) if number(view, e, RESERVE) > 0.0 else -math.inf


@njit
def is_crowded(view: View, e: int, stage: int, node: int) -> bool:
    """Whether a stage should wait in the global queue rather than join a node.

    A node is crowded when it has as many stages (queued, inbound, running) as the cap allows, less the places that
    pressing ones keep to themselves, but no fewer than a share of the cap (`LEAST_SHARE`); and for a model that it does
    not serve, when it serves as many other models as the cap on engines allows. Both caps follow the backlog, and what
    the network adds.
    """
    backlog = ready_a_node(view, e)
    model = model_of(view, e, stage)
    more_stages, more_reserve, more_engines = moves(view, e, model, node)
    cap = number(view, e, STAGES_CAP)
    if cap > 0.0:
        cap += number(view, e, STAGES_CAP_PER_READY) * backlog + more_stages
        if leaves_places(view, e, stage):
            cap -= max(0.0, number(view, e, RESERVE) + more_reserve)
        if stages_at(view, e, node) >= max(1.0, LEAST_SHARE * number(view, e, STAGES_CAP), cap):
            return True
    cap = number(view, e, ENGINES_CAP)
    if cap <= 0.0 or serves(view, e, node, model):
        return False
    cap += number(view, e, ENGINES_CAP_PER_READY) * backlog + more_engines
    return active_others(view, e, node, model) >= max(0.5, cap)


@njit
def is_kept(view: View, e: int, node: int, slot: int, newcomer: int) -> bool:
    """Whether an engine does not give way to another model: it is new, or the global queue wants its model more."""
    engine = view.engines[e, node, slot]
    if now_s(view, e) - float(engine.ready_s) < number(view, e, STAY):
        return True
    keep = number(view, e, KEEP)
    if keep <= 0.0:
        return False
    model = int(engine.model)
    mine, theirs = view.models[e, model], view.models[e, newcomer]
    wanted = (int(mine.ready) + 1.0) / max(1, int(mine.warm_nodes))
    return wanted > keep and wanted > (int(theirs.ready) + int(theirs.waiting)) / max(1, int(theirs.warm_nodes))


@njit
def wants_replica(view: View, e: int, model: int) -> bool:
    """Whether so many stages of a model wait for each node that has it that another node may start it."""
    record = view.models[e, model]
    return number(view, e, REPLICATE) * int(record.ready) > int(record.warm_nodes)
