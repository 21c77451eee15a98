"""Sets of nodes that spare the rules a look at the whole fleet: kept as things change, looked up by `scheduling.sets`.

`roomy`, `warm` and `asleep` are exact. `welcoming` and `spare_since_s` leave nobody out that could start a model, and
hold others too, for much of that depends on the stage: whoever reads them asks again. They are brought up to date
before the global or the cluster rule is asked, at the nodes where something has changed.
"""

from __future__ import annotations

import math

from maestro_gym.core.bits import first_of, is_in, lowest, put_in
from maestro_gym.core.calendar import put
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.legal import node_has_room
from maestro_gym.scheduling.load_times import load_s
from maestro_gym.scheduling.sizes import load_room_bytes, sleep_frees_bytes
from maestro_gym.scheduling.view import newcomer_places, num_newcomers, takes_calls
from maestro_gym.state import CPU, ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_FREE, ENGINE_LOADING, State

ROUNDING = 1e-6
"""Share of a node's memory by which sums of bytes that were added in another order may differ."""


@njit
def note_room(state: State, e: int, node: int) -> None:
    """The queue of a node has grown or shrunk."""
    view = state.visible
    touch(state, e, node)
    has_room = node_has_room(view, e, node)
    if has_room == is_in(view.roomy[e], node):
        return
    put_in(view.roomy[e], node, has_room)
    if not takes_calls(view, node):
        return
    for slot in range(view.engines.shape[2]):
        engine = view.engines[e, node, slot]
        if engine.status in (ENGINE_AWAKE, ENGINE_LOADING):
            view.models[e, engine.model].open_nodes += 1 if has_room else -1


@njit
def note_warm(state: State, e: int, node: int, model: int, is_warm: bool) -> None:
    """A model is RUNNING or loading on a node from now on, or no longer."""
    view = state.visible
    touch(state, e, node)
    put_in(view.warm[e, model], node, is_warm)
    if not takes_calls(view, node):
        return
    view.models[e, model].warm_nodes += 1 if is_warm else -1
    if is_in(view.roomy[e], node):
        view.models[e, model].open_nodes += 1 if is_warm else -1


@njit
def note_asleep(state: State, e: int, node: int, model: int, is_asleep: bool) -> None:
    """A model is SLEEPING on a node from now on, or no longer."""
    put_in(state.visible.asleep[e, model], node, is_asleep)
    if takes_calls(state.visible, node):
        state.visible.models[e, model].asleep_nodes += 1 if is_asleep else -1


@njit
def touch(state: State, e: int, node: int) -> None:
    """Memory, engines or queue of a node have changed."""
    put_in(state.core.stale[e], node, True)
    state.core.metrics_until_s[e, node] = -math.inf


@njit
def note_tier(state: State, e: int, host: int, model: int, tier: int) -> None:
    """The weights of a model are at another place of a host, outside its GPUs."""
    record = state.visible.host_models[e, host, model]
    hosts = state.core.tier_hosts[e, model]
    hosts[record.tier] -= 1
    hosts[tier] += 1
    record.tier = tier
    _note_soonest(state, e, model)


@njit
def _note_soonest(state: State, e: int, model: int) -> None:
    """Write the least time in which a model can be started where it is not SLEEPING."""
    soonest_s = math.inf
    for tier in range(CPU + 1):
        if state.core.tier_hosts[e, model, tier] > 0:
            soonest_s = min(soonest_s, state.core.load_floor_s[e, model, tier])
    state.visible.models[e, model].soonest_s = soonest_s


@njit
def refresh_sets(state: State, e: int) -> None:
    """Look up again whether the nodes that were touched can start a model."""
    view = state.visible
    for word in range(view.roomy.shape[1]):
        nodes = int(state.core.stale[e, word])
        state.core.stale[e, word] = 0
        while nodes != 0:
            node = first_of(word) + lowest(nodes)
            nodes &= nodes - 1
            welcomes = num_newcomers(view, e, node) < newcomer_places(view)
            put_in(view.welcoming[e], node, welcomes)
            for arch in range(view.world.perf.shape[1]):
                since_s = _spare_since_s(state, e, node, arch) if welcomes else math.inf
                put(view.spare_since_s[e, arch], node, since_s)


@njit
def _spare_since_s(state: State, e: int, node: int, arch: int) -> float:
    """Since when a node has a slot and memory for a model: free, or of engines that have been idle since then.

    Engines give way in order of their last use, those first that have been idle for longest. -inf when nobody must, inf
    when even all would not suffice.
    """
    view, world = state.visible, state.visible.world
    params = world.params[0]
    need = world.perf[world.nodes[node].hardware, arch].weight_bytes + params.margin_bytes - params.sleep_bytes
    room = load_room_bytes(view, e, node) + ROUNDING * world.nodes[node].hbm_pool_bytes
    has_slot = False
    for slot in range(view.engines.shape[2]):
        has_slot = has_slot or view.engines[e, node, slot].status in (ENGINE_FREE, ENGINE_ASLEEP)
    since_s, last = -math.inf, -1
    while need > room or not has_slot:
        best, best_s = -1, math.inf
        for slot in range(view.engines.shape[2]):
            engine = view.engines[e, node, slot]
            if engine.status != ENGINE_AWAKE or engine.running > 0:
                continue
            # In order of (last use, slot), after the one taken last.
            later = engine.last_used_s > since_s or (engine.last_used_s == since_s and slot > last)
            if later and engine.last_used_s < best_s:
                best, best_s = slot, engine.last_used_s
        if best < 0:
            return math.inf
        room += sleep_frees_bytes(view, e, node, best)
        has_slot = True
        since_s, last = best_s, best
    return since_s


@njit
def begin_sets(state: State, e: int) -> None:
    """Set all up for an episode whose models are placed."""
    view = state.visible
    for node in range(view.nodes.shape[1]):
        put_in(view.members[e, view.world.nodes[node].cluster], node, True)
        put_in(state.core.host_nodes[e, view.world.nodes[node].host], node, True)
        note_room(state, e, node)
        for model in range(view.world.models.shape[0]):
            for tier in range(CPU + 1):
                seconds = load_s(view, node, model, tier)
                if node == 0 or seconds < state.core.load_floor_s[e, model, tier]:
                    state.core.load_floor_s[e, model, tier] = seconds
    for model in range(view.world.models.shape[0]):
        for host in range(view.world.hosts.shape[0]):
            state.core.tier_hosts[e, model, view.host_models[e, host, model].tier] += 1
        _note_soonest(state, e, model)
    view.clock[e].indexed = 1
