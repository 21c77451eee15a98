"""GPUs of a host that form other tensor-parallel groups: the board drains, then its new nodes begin (docs/elastic.md).

A board has a node for every group of every degree, and those of one degree are on. To regroup is to let these drain, to
switch them off together, and to start those of another degree, which are ready after `regroup_s` with the models that
ran before: their weights were resharded, and nothing is loaded.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import ACT_REGROUP, ACT_WAIT
from maestro_gym.scheduling.legal import can_regroup, may_place
from maestro_gym.scheduling.sizes import load_bytes
from maestro_gym.sim.node_states import begin_start, clear_node, enter_state, is_drained
from maestro_gym.sim.placement import WEIGHT_SHARE
from maestro_gym.sim.residency import log_residency, take_hbm
from maestro_gym.state import (
    ENGINE_AWAKE,
    NODE_DRAINING,
    NODE_OFF,
    NODE_READY,
    RUNNING,
    State,
)


@njit
def _is_running(state: State, e: int, node: int, model: int) -> bool:
    view = state.visible
    slot = view.slot_of[e, node, model]
    return slot >= 0 and view.engines[e, node, slot].status == ENGINE_AWAKE


@njit
def _copies(state: State, e: int, board: int, model: int, gpus: int) -> int:
    """Nodes of a degree of a board that run a model."""
    spec = state.visible.world.boards[board]
    count = 0
    for node in range(spec.first_node, spec.first_node + spec.num_nodes):
        if state.visible.world.nodes[node].gpus == gpus and _is_running(state, e, node, model):
            count += 1
    return count


@njit
def _to_carry(state: State, e: int, node: int, gpus: int, left_bytes: float) -> int:
    """The model that ran on a node's board in groups of ``gpus`` and has the largest popularity per copy; -1 = none."""
    view = state.visible
    board = int(view.world.nodes[node].board)
    best, best_share = -1, 0.0
    for model in range(view.world.models.shape[0]):
        if view.slot_of[e, node, model] >= 0 or not may_place(view, node, model):
            continue
        if load_bytes(view, e, node, model) > left_bytes or _copies(state, e, board, model, gpus) == 0:
            continue
        copies = _copies(state, e, board, model, int(view.world.nodes[node].gpus))
        share = view.world.models[model].popularity / (copies + 1)
        if share > best_share:
            best, best_share = model, share
    return best


@njit
def _carry_models(state: State, e: int, node: int, gpus: int) -> None:
    """Make RUNNING on a node that starts what ran on its board in groups of ``gpus``, as the initial placement would.

    The most popular per copy first, up to a share of the memory; the first of them may be larger, and is then alone.
    """
    view = state.visible
    params = view.world.params[0]
    pool_bytes = view.world.nodes[node].hbm_pool_bytes
    left_bytes = pool_bytes if params.partitioned == 1 else WEIGHT_SHARE * pool_bytes
    model = _to_carry(state, e, node, gpus, pool_bytes)
    for slot in range(view.engines.shape[2]):
        if model < 0:
            return
        need_bytes = load_bytes(view, e, node, model)
        engine = view.engines[e, node, slot]
        engine.model = model
        engine.status = ENGINE_AWAKE
        engine.last_used_s = view.clock[e].now_s
        engine.ready_s = view.clock[e].now_s + params.regroup_s
        state.core.engines[e, node, slot].load_from = RUNNING
        view.slot_of[e, node, model] = slot
        take_hbm(state, e, node, slot, need_bytes)
        log_residency(state, e, node, model, RUNNING, RUNNING)
        left_bytes -= need_bytes
        model = _to_carry(state, e, node, gpus, left_bytes)


@njit
def _switch(state: State, e: int, board: int) -> None:
    """The nodes of a board have drained: they are off, and those of its next degree start."""
    view = state.visible
    spec, core = view.world.boards[board], state.core.boards[e, board]
    gpus = 0
    for node in range(spec.first_node, spec.first_node + spec.num_nodes):
        if view.nodes[e, node].node_state == NODE_DRAINING:
            gpus = int(view.world.nodes[node].gpus)
    for node in range(spec.first_node, spec.first_node + spec.num_nodes):
        if view.world.nodes[node].gpus == core.next_gpus:
            begin_start(state, e, node, view.world.params[0].regroup_s)
            _carry_models(state, e, node, gpus)
    for node in range(spec.first_node, spec.first_node + spec.num_nodes):
        if view.nodes[e, node].node_state == NODE_DRAINING:
            enter_state(state, e, node, NODE_OFF)
            clear_node(state, e, node)
    core.next_gpus = 0


@njit
def handle_regrouping(state: State, e: int) -> None:
    """Switch boards whose nodes have all drained."""
    view = state.visible
    for board in range(view.world.boards.shape[0]):
        if state.core.boards[e, board].next_gpus == 0:
            continue
        spec = view.world.boards[board]
        busy = False
        for node in range(spec.first_node, spec.first_node + spec.num_nodes):
            busy = busy or (view.nodes[e, node].node_state == NODE_DRAINING and not is_drained(state, e, node))
        if not busy:
            _switch(state, e, board)


@njit
def begin_moment(state: State, e: int) -> None:
    """It is time to choose degrees, of every board that is not changing, where the node rule does."""
    for board in range(state.visible.world.boards.shape[0]):
        chooses = state.core.env[e].chooses_degree == 1 and _serving(state, e, board) >= 0
        state.core.boards[e, board].due = 1 if chooses else 0


@njit
def _serving(state: State, e: int, board: int) -> int:
    """The first ready node of a board, -1 while it changes."""
    spec = state.visible.world.boards[board]
    for node in range(spec.first_node, spec.first_node + spec.num_nodes):
        if state.visible.nodes[e, node].node_state == NODE_READY:
            return node
    return -1


@njit
def next_for_degree(state: State, e: int) -> int:
    """The first node of the first board whose degree is due, which is then what is asked; -1 when there is none."""
    for board in range(state.visible.world.boards.shape[0]):
        if state.core.boards[e, board].due == 1:
            state.visible.clock[e].regrouping = 1
            return _serving(state, e, board)
    return -1


@njit
def apply_degree(state: State, e: int, node: int, kind: int, gpus: int) -> bool:
    """Keep the degree of a node's board, or begin to group its GPUs by ``gpus``; False when that is not legal.

    Args:
        state: The batch.
        e: Environment.
        node: Which was asked.
        kind: Of the action, ``ACT_*``.
        gpus: Of the new nodes, where the action regroups.
    """
    if kind != ACT_WAIT and (kind != ACT_REGROUP or not can_regroup(state.visible, e, node, gpus)):
        return False
    board = int(state.visible.world.nodes[node].board)
    state.visible.clock[e].regrouping = 0
    state.core.boards[e, board].due = 0
    if kind == ACT_REGROUP:
        _regroup(state, e, board, gpus)
    return True


@njit
def _regroup(state: State, e: int, board: int, gpus: int) -> None:
    """The nodes of a board that serve drain, for others of ``gpus``."""
    state.core.counters[e].regroups += 1
    state.core.boards[e, board].next_gpus = gpus
    spec = state.visible.world.boards[board]
    for node in range(spec.first_node, spec.first_node + spec.num_nodes):
        if state.visible.nodes[e, node].node_state == NODE_READY:
            enter_state(state, e, node, NODE_DRAINING)
    handle_regrouping(state, e)
