"""What is possible: the single source of every mask and of every check of an action."""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.sets import next_roomy
from maestro_gym.scheduling.sizes import (
    admit_bytes,
    blocks_up,
    free_kv_bytes,
    idle_bytes,
    kv_bytes,
    load_bytes,
    load_room_bytes,
    longest_tokens,
    weight_bytes,
)
from maestro_gym.scheduling.view import cluster_of, hands_over, is_handed_over
from maestro_gym.state import (
    DUTY_DECODE,
    DUTY_PREFILL,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_FREE,
    ENGINE_LOADING,
    NODE_DRAINING,
    NODE_OFF,
    NODE_READY,
    NODE_STARTING,
    STAGE_READY,
    View,
)


@njit
def may_place(view: View, node: int, model: int) -> bool:
    """Whether the scenario lets a model be placed on a node at all."""
    return int(view.world.barred[node, model]) == 0


@njit
def _is_due(view: View, e: int, stage: int, node: int) -> bool:
    """Whether a node computes what is due of a stage: its prefill, or what follows where another handed it over."""
    return int(view.world.nodes[node].duty) != (DUTY_PREFILL if is_handed_over(view, e, stage) else DUTY_DECODE)


@njit
def stage_fits(view: View, e: int, stage: int, node: int) -> bool:
    """Whether a node could ever serve a stage, alone, up to its output limit.

    One that only prefills must hold the prompt, and a node of its cluster that decodes the rest.
    """
    if not _is_due(view, e, stage, node) or not _holds(view, e, stage, node):
        return False
    if not hands_over(view, node):
        return True
    for other in range(view.nodes.shape[1]):
        goes_on = cluster_of(view, other) == cluster_of(view, node) and not hands_over(view, other)
        if goes_on and _holds(view, e, stage, other):
            return True
    return False


@njit
def _holds(view: View, e: int, stage: int, node: int) -> bool:
    """Whether a node may have the model of a stage, and has memory for all that it may come to hold there."""
    model = int(view.stages[e, stage].model)
    if not may_place(view, node, model):
        return False
    params = view.world.params[0]
    pool = view.world.nodes[node].hbm_pool_bytes
    most = blocks_up(longest_tokens(view, e, node, stage)) * kv_bytes(view, node, model)
    room = pool - weight_bytes(view, node, model) - params.margin_bytes
    if params.partitioned == 1:
        room = load_bytes(view, e, node, model) - weight_bytes(view, node, model) - params.margin_bytes
        if load_bytes(view, e, node, model) > pool * (1.0 + 1e-9):
            return False
    return most <= room and most <= params.kv_virtual_cap * pool


@njit
def node_has_room(view: View, e: int, node: int) -> bool:
    """Whether a node is ready, and its queue, with what is on the way to it, has a free place."""
    record = view.nodes[e, node]
    if record.node_state != NODE_READY:
        return False
    return record.queue_len + record.inbound < view.world.params[0].node_queue_limit


@njit
def is_reachable(view: View, e: int, stage: int, cluster: int) -> bool:
    """Whether the link from where a stage is to a cluster is up; who was handed over stays in its cluster."""
    if view.clock[e].links_down == 0:
        return True
    ingress = view.workflows[e, view.stages[e, stage].workflow].ingress_cluster
    return view.link_down[e, ingress, cluster] == 0 or is_handed_over(view, e, stage)


@njit
def is_cut_off(view: View, e: int, stage: int) -> bool:
    """Whether a link from where a stage is to some cluster is down."""
    for cluster in range(view.link_down.shape[1]):  # noqa: SIM110 - numba compiles no generator expression
        if not is_reachable(view, e, stage, cluster):
            return True
    return False


@njit
def can_route(view: View, e: int, stage: int, node: int) -> bool:
    """Whether a stage may be sent to a node now."""
    if not node_has_room(view, e, node) or not is_reachable(view, e, stage, cluster_of(view, node)):
        return False
    return stage_fits(view, e, stage, node)


@njit
def can_send(view: View, e: int, stage: int, cluster: int) -> bool:
    """Whether a stage may be sent to a cluster now: one of its nodes has room and can serve it."""
    node = next_roomy(view, e, cluster, -1)
    while node >= 0:
        if can_route(view, e, stage, node):
            return True
        node = next_roomy(view, e, cluster, node)
    return False


@njit
def is_at_gateway(view: View, e: int, stage: int) -> bool:
    """Whether a stage waits in the global queue and no stage of its workflow has been sent yet."""
    if view.stages[e, stage].phase != STAGE_READY:
        return False
    return view.workflows[e, view.stages[e, stage].workflow].begun_s == math.inf


@njit
def may_reject(view: View) -> bool:
    """Whether workflows may be turned away in this scenario."""
    return view.world.params[0].admission == 1


@njit
def can_reject(view: View, e: int, stage: int) -> bool:
    """Whether the workflow of a stage may be turned away now."""
    return may_reject(view) and is_at_gateway(view, e, stage)


@njit
def may_scale(view: View, e: int) -> bool:
    """Whether nodes may be started and stopped at this moment (`limits.autoscaling`)."""
    return int(view.clock[e].scaling) == 1


@njit
def can_start(view: View, e: int, node: int) -> bool:
    """Whether a node that is off may be started now, or a draining one called back."""
    record = view.nodes[e, node]
    if not may_scale(view, e) or record.node_state not in (NODE_OFF, NODE_DRAINING):
        return False
    # A node changes once at a moment, so that starts and stops come to an end.
    return view.clock[e].nodes_on < view.world.params[0].max_nodes and record.state_since_s < view.clock[e].now_s


@njit
def can_stop(view: View, e: int, node: int) -> bool:
    """Whether a node that is ready or starting may be stopped now."""
    record = view.nodes[e, node]
    if not may_scale(view, e) or record.node_state not in (NODE_READY, NODE_STARTING):
        return False
    return view.clock[e].nodes_on > view.world.params[0].min_nodes and record.state_since_s < view.clock[e].now_s


@njit
def any_scaling(view: View, e: int) -> bool:
    """Whether a node may be started or stopped now."""
    if not may_scale(view, e):
        return False
    for node in range(view.nodes.shape[1]):  # noqa: SIM110 - numba compiles no generator expression
        if can_start(view, e, node) or can_stop(view, e, node):
            return True
    return False


@njit
def may_regroup(view: View, e: int) -> bool:
    """Whether the pending node decision is on the degree of the node's board (`limits.parallelism`)."""
    return int(view.clock[e].regrouping) == 1


@njit
def can_regroup(view: View, e: int, node: int, gpus: int) -> bool:
    """Whether the GPUs of a node's board may be grouped by ``gpus`` now, which is not their degree."""
    if not may_regroup(view, e) or node != view.clock[e].place or gpus == view.world.nodes[node].gpus:
        return False
    board = view.world.boards[view.world.nodes[node].board]
    for other in range(board.first_node, board.first_node + board.num_nodes):
        if view.world.nodes[other].gpus == gpus:
            return True
    return False


@njit
def can_admit(view: View, e: int, node: int, queue_index: int, level: int) -> bool:
    """Whether the queued stage at ``queue_index`` may join its engine's batch at a reservation level.

    Its engine must be RUNNING with a free sequence slot, and its reservation must fit, idle engines
    put to sleep where memory is elastic.
    """
    if queue_index >= view.nodes[e, node].queue_len:
        return False
    stage = view.node_queue[e, node, queue_index]
    record = view.stages[e, stage]
    slot = view.slot_of[e, node, record.model]
    if slot < 0:
        return False
    engine = view.engines[e, node, slot]
    params = view.world.params[0]
    if engine.status != ENGINE_AWAKE or engine.running >= params.max_num_seqs:
        return False
    granted = longest_tokens(view, e, node, stage) * kv_bytes(view, node, int(record.model))
    if view.nodes[e, node].kv_virtual_bytes + granted > params.kv_virtual_cap * view.world.nodes[node].hbm_pool_bytes:
        return False
    room = free_kv_bytes(view, e, node, slot)
    need = admit_bytes(view, e, node, stage, level)
    if need > room and params.partitioned == 0:
        room += idle_bytes(view, e, node, int(record.model), 0.0)
    return need <= room


@njit
def can_promote(view: View, e: int, node: int, model: int) -> bool:
    """Whether a model can start to become RUNNING on a node now, idle engines put to sleep if need be."""
    if not may_place(view, node, model):
        return False
    slot = view.slot_of[e, node, model]
    if slot >= 0 and view.engines[e, node, slot].status != ENGINE_ASLEEP:
        return False
    if view.changed_s[e, node, model] == view.clock[e].now_s:
        return False
    if slot < 0:
        open_slot = False
        for k in range(view.engines.shape[2]):
            engine = view.engines[e, node, k]
            idle = engine.status == ENGINE_AWAKE and engine.running == 0
            if engine.status in (ENGINE_FREE, ENGINE_ASLEEP) or idle:
                open_slot = True
        if not open_slot:
            return False
    room = load_room_bytes(view, e, node)
    need = load_bytes(view, e, node, model)
    return need <= room or need <= room + idle_bytes(view, e, node, model, view.world.params[0].sleep_bytes)


@njit
def can_demote(view: View, e: int, node: int, model: int) -> bool:
    """Whether a model can move one residency tier down on a node: asleep, or RUNNING and idle."""
    slot = view.slot_of[e, node, model]
    if slot < 0 or view.changed_s[e, node, model] == view.clock[e].now_s:
        return False
    engine = view.engines[e, node, slot]
    return engine.status != ENGINE_LOADING and engine.running == 0
