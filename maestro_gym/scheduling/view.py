"""Readers of the view: the looks that rules take, each under one name.

A reader returns a plain integer, float or truth value. That is why rules use them and not the fields: narrow integers
of records overflow differently when they are compiled and when they are interpreted.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL, TIER_TOOL
from maestro_gym.state import (
    DUTY_DECODE,
    DUTY_PREFILL,
    ENGINE_AWAKE,
    ENGINE_FREE,
    ENGINE_LOADING,
    SIGNAL_RESIDENCY,
    View,
)

SIMULTANEOUS_S: Final = 1e-9
"""Moments this close are one (docs/physics.md, "The decisions") [s]."""


@njit
def wide(value: int) -> int:
    """A narrow integer of a record as a plain one; compiled functions then need no second version for narrow ones."""
    return int(value) + 0


# --- the pending decision ---------------------------------------------------------------------


@njit
def now_s(view: View, e: int) -> float:
    """Time of the decision."""
    return float(view.clock[e].now_s)


@njit
def stage_to_route(view: View, e: int) -> int:
    """The stage of a cluster decision."""
    return int(view.clock[e].stage)


@njit
def cluster_to_route_in(view: View, e: int) -> int:
    """The cluster of a cluster decision."""
    return int(view.clock[e].cluster)


@njit
def node_to_serve(view: View, e: int) -> int:
    """The node of a node decision, and of a reclaim."""
    return int(view.clock[e].place)


@njit
def may_wait(view: View, e: int) -> bool:
    """Whether the pending decision may be to wait."""
    return int(view.clock[e].wait_legal) == 1


@njit
def number(view: View, e: int, index: int) -> float:
    """One of the numbers that the policy was given from outside, 0 where it was given none."""
    return float(view.numbers[e, index])


@njit
def decision_number(view: View, e: int) -> int:
    """Decisions so far, of all tiers: no two decisions have the same."""
    return int(view.clock[e].decisions)


@njit
def is_new_decision(view: View, e: int, note: int) -> bool:
    """Whether this is asked for the first time in the pending decision; ``note`` is a place of ``view.memory``."""
    decision = float(decision_number(view, e) + 1)
    if view.memory[e, note] == decision:
        return False
    view.memory[e, note] = decision
    return True


# --- fleet ------------------------------------------------------------------------------------


@njit
def num_nodes(view: View) -> int:
    """Nodes of the fleet."""
    return view.world.nodes.shape[0]


@njit
def nodes_there(view: View, e: int) -> int:
    """Nodes of the fleet, those of boards only while they are on: their GPUs are otherwise those of other nodes."""
    return num_nodes(view) if view.world.boards.shape[0] == 0 else max(1, int(view.clock[e].nodes_on))


@njit
def num_models(view: View) -> int:
    """Models of the scenario."""
    return view.world.models.shape[0]


@njit
def num_slots(view: View) -> int:
    """Engine slots of a node."""
    return view.engines.shape[2]


@njit
def cluster_of(view: View, node: int) -> int:
    """Cluster of a node."""
    return int(view.world.nodes[node].cluster)


@njit
def takes_calls(view: View, node: int) -> bool:
    """Whether a node is sent calls from the global queue: all but those that only decode."""
    return int(view.world.nodes[node].duty) != DUTY_DECODE


@njit
def hands_over(view: View, node: int) -> bool:
    """Whether a node only prefills, and hands a call over when its first token is there (docs/disaggregation.md)."""
    return int(view.world.nodes[node].duty) == DUTY_PREFILL


# --- stages and workflows ---------------------------------------------------------------------


@njit
def model_of(view: View, e: int, stage: int) -> int:
    """Model that a stage asks for."""
    return wide(view.stages[e, stage].model)


@njit
def workflow_of(view: View, e: int, stage: int) -> int:
    """Workflow of a stage."""
    return wide(view.stages[e, stage].workflow)


@njit
def is_handed_over(view: View, e: int, stage: int) -> bool:
    """Whether a stage was prefilled by a node that does no more, and brings its KV to the one that admits it next."""
    return int(view.stages[e, stage].kv_tokens) > 0


@njit
def class_of(view: View, e: int, stage: int) -> int:
    """``INTERACTIVE`` or ``BATCH``."""
    return wide(view.stages[e, stage].cls)


@njit
def ready_s(view: View, e: int, stage: int) -> float:
    """When a stage became ready."""
    return float(view.stages[e, stage].ready_s)


@njit
def waited_s(view: View, e: int, stage: int) -> float:
    """How long a stage has waited, from its readiness."""
    return now_s(view, e) - ready_s(view, e, stage)


@njit
def num_tenants(view: View) -> int:
    """Tenants of the scenario."""
    return view.world.tenants.shape[0]


@njit
def tenant_of(view: View, e: int, stage: int) -> int:
    """Tenant of a stage's workflow; who is not of the scenario, as in a live run, shares with one who is."""
    return wide(view.workflows[e, workflow_of(view, e, stage)].tenant) % num_tenants(view)


@njit
def has_just_arrived(view: View, e: int, stage: int) -> bool:
    """Whether the workflow of a stage arrives at this very instant."""
    return abs(now_s(view, e) - float(view.workflows[e, workflow_of(view, e, stage)].arrival_s)) <= SIMULTANEOUS_S


@njit
def prompt_tokens(view: View, e: int, stage: int) -> float:
    """Prompt of a stage."""
    return float(view.stages[e, stage].prompt_tokens)


@njit
def future_s(view: View, e: int, stage: int) -> float:
    """T_future, median, as predicted when the stage became ready [s]."""
    return float(view.stages[e, stage].future_s_q50)


@njit
def remaining_s(view: View, e: int, stage: int) -> float:
    """Predicted T_rem of the workflow of a stage, median (class P)."""
    return float(view.stages[e, stage].remaining_s_q50)


@njit
def stages_done(view: View, e: int, stage: int) -> int:
    """Stages that the workflow of a stage has finished."""
    return wide(view.workflows[e, workflow_of(view, e, stage)].stages_done)


# --- queues -----------------------------------------------------------------------------------


@njit
def ready_stage(view: View, e: int, position: int) -> int:
    """Stage at a position of the global queue."""
    return wide(view.global_queue[e, position])


@njit
def first_ready(view: View, e: int, model: int) -> int:
    """The ready stage of a model that joined the global queue first, -1 when none is known (`sets.has_sets`)."""
    return wide(view.ready_first[e, model])


@njit
def num_ready(view: View, e: int) -> int:
    """Stages in the global queue."""
    return int(view.clock[e].global_len)


@njit
def queued_stage(view: View, e: int, node: int, position: int) -> int:
    """Stage at a position of a node's queue."""
    return wide(view.node_queue[e, node, position])


@njit
def num_queued(view: View, e: int, node: int) -> int:
    """Stages in a node's queue."""
    return int(view.nodes[e, node].queue_len)


@njit
def num_inbound(view: View, e: int, node: int) -> int:
    """Stages on their way to a node."""
    return int(view.nodes[e, node].inbound)


@njit
def num_running(view: View, e: int, node: int) -> int:
    """Admitted stages of a node."""
    return int(view.nodes[e, node].running)


@njit
def num_waiting(view: View, e: int, node: int, model: int) -> int:
    """Stages of a model that were sent to a node and are not admitted."""
    return int(view.waiting[e, node, model])


# --- engines ----------------------------------------------------------------------------------


@njit
def slot_of(view: View, e: int, node: int, model: int) -> int:
    """Engine slot of a model on a node, -1 when it has none."""
    return int(view.slot_of[e, node, model])


@njit
def slot_model(view: View, e: int, node: int, slot: int) -> int:
    """Model in an engine slot, -1 when the slot is free."""
    return int(view.engines[e, node, slot].model)


@njit
def slot_status(view: View, e: int, node: int, slot: int) -> int:
    """One of ``ENGINE_*``."""
    return int(view.engines[e, node, slot].status)


@njit
def slot_running(view: View, e: int, node: int, slot: int) -> int:
    """Admitted stages of an engine."""
    return int(view.engines[e, node, slot].running)


@njit
def num_newcomers(view: View, e: int, node: int) -> int:
    """Stages that wait at a node, or are on their way, for a model that is not warm there."""
    count = num_queued(view, e, node) + num_inbound(view, e, node)
    for slot in range(num_slots(view)):
        if slot_status(view, e, node, slot) in (ENGINE_AWAKE, ENGINE_LOADING):
            count -= num_waiting(view, e, node, slot_model(view, e, node, slot))
    return count


@njit
def newcomer_places(view: View) -> int:
    """Stages of one absent model that a node takes at a time: half of its queue, and one at least."""
    return max(1, int(view.world.params[0].node_queue_limit) // 2)


@njit
def router_asked(view: View, e: int) -> int:
    """The router whose decision is pending (`limits.signals.routers`)."""
    return int(view.clock[e].router)


@njit
def is_scraped(view: View, e: int, kind: int) -> bool:
    """Whether the pending decision is a router's that knows a kind of signals (``SIGNAL_*``) by its last scrape.

    A node knows itself: decisions of the node tier see what is.
    """
    period_s, tier = float(view.world.signals[kind].period_s), int(view.clock[e].tier)
    return period_s > 0.0 and tier in (TIER_GLOBAL, TIER_CLUSTER, TIER_TOOL)


@njit
def engine_status(view: View, e: int, node: int, model: int) -> int:
    """One of ``ENGINE_*`` of a model on a node, as far as the decision knows; ``ENGINE_FREE`` when it has no slot."""
    if is_scraped(view, e, SIGNAL_RESIDENCY):
        return int(view.scraped_status[e, router_asked(view, e), node, model])
    slot = slot_of(view, e, node, model)
    return slot_status(view, e, node, slot) if slot >= 0 else ENGINE_FREE


@njit
def is_warm(view: View, e: int, node: int, model: int) -> bool:
    """Whether a model is RUNNING on a node or being loaded, as far as the decision knows."""
    return engine_status(view, e, node, model) in (ENGINE_AWAKE, ENGINE_LOADING)
