"""Observation, mask and action codes of the pending decision, written into the caller's arrays.

Reads the view alone. One function writes all three, so a mask and its observation cannot disagree.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.fleet import write_cluster, write_fleet
from maestro_gym.envs.observation.node import write_model, write_node, write_pair
from maestro_gym.envs.observation.scales import of_share, of_time
from maestro_gym.envs.observation.stage import write_stage
from maestro_gym.envs.observation.window import fill_window
from maestro_gym.scheduling.actions import WAIT, admit_code, demote_code, promote_code, send_code
from maestro_gym.scheduling.legal import can_admit, can_demote, can_promote, can_route, can_send
from maestro_gym.scheduling.sizes import admit_bytes, free_kv_bytes, load_bytes, load_room_bytes
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL, TIER_NODE
from maestro_gym.state import NUM_RESERVE_LEVELS, RESERVE_MAX, RESERVE_PROMPT, Hidden, View

KIND_WAIT, KIND_SEND, KIND_ROUTE, KIND_ADMIT, KIND_PROMOTE, KIND_DEMOTE = range(6)
_LEGAL = 0


@njit
def _open_row(layout: np.ndarray, row: np.ndarray, kind: int) -> None:
    """Mark a row as legal and of a kind."""
    row[_LEGAL] = 1.0
    at = int(layout[0].kind)
    if at >= 0:
        row[at + kind] = 1.0


@njit
def _observe_global(
    view: View,
    nothing: Hidden,
    e: int,
    layout: np.ndarray,
    heads: np.ndarray,
    bands: np.ndarray,
    keys: np.ndarray,
    window: np.ndarray,
    candidates: np.ndarray,
    mask: np.ndarray,
    codes: np.ndarray,
) -> None:
    place = layout[0]
    predictions = int(place.predictions) == 1
    first = int(place.rows_global)
    if int(view.clock[e].wait_legal) == 1:
        mask[first] = True
        codes[first] = WAIT
        _open_row(layout, candidates[first], KIND_WAIT)
    clusters = view.world.latency_s.shape[0]
    for k in range(fill_window(view, nothing, e, predictions, heads, bands, keys, window)):
        stage = int(window[k])
        for cluster in range(clusters):
            if not can_send(view, e, stage, cluster):
                continue
            action = first + 1 + k * clusters + cluster
            row = candidates[action]
            mask[action] = True
            codes[action] = send_code(view, stage, cluster)
            _open_row(layout, row, KIND_SEND)
            write_stage(view, e, stage, row, int(place.stage), predictions)
            node = write_cluster(view, e, cluster, stage, row, int(place.cluster), predictions)
            write_model(view, e, node, int(view.stages[e, stage].model), row, int(place.model))
            write_pair(view, e, node, stage, row, int(place.pair), predictions)


@njit
def _observe_cluster(
    view: View,
    e: int,
    layout: np.ndarray,
    candidates: np.ndarray,
    context: np.ndarray,
    mask: np.ndarray,
    codes: np.ndarray,
) -> None:
    place = layout[0]
    predictions = int(place.predictions) == 1
    stage, cluster = int(view.clock[e].stage), int(view.clock[e].cluster)
    model = int(view.stages[e, stage].model)
    write_stage(view, e, stage, context, int(place.context_stage), predictions)
    action = int(place.rows_cluster)
    for node in range(view.world.nodes.shape[0]):
        if int(view.world.nodes[node].cluster) != cluster:
            continue
        if can_route(view, e, stage, node):
            row = candidates[action]
            mask[action] = True
            codes[action] = node
            _open_row(layout, row, KIND_ROUTE)
            write_node(view, e, node, row, int(place.node), predictions)
            write_model(view, e, node, model, row, int(place.model))
            write_pair(view, e, node, stage, row, int(place.pair), predictions)
        action += 1


@njit
def _write_use(view: View, e: int, node: int, model: int, row: np.ndarray, at: int) -> None:
    """Columns of the ACTION block that say how much a model is wanted."""
    slot = int(view.slot_of[e, node, model])
    now_s = float(view.clock[e].now_s)
    last_used_s = float(view.host_models[e, int(view.world.nodes[node].host), model].last_used_s)
    if slot >= 0:
        last_used_s = float(view.engines[e, node, slot].last_used_s)
    row[at + NUM_RESERVE_LEVELS + 2] = of_time(now_s - last_used_s)
    oldest_s = 0.0
    for q in range(int(view.nodes[e, node].queue_len)):
        stage = int(view.node_queue[e, node, q])
        if int(view.stages[e, stage].model) == model:
            oldest_s = max(oldest_s, now_s - float(view.stages[e, stage].ready_s))
    row[at + NUM_RESERVE_LEVELS + 3] = of_time(oldest_s)


@njit
def _open_admits(
    view: View,
    e: int,
    layout: np.ndarray,
    every_level: bool,
    candidates: np.ndarray,
    mask: np.ndarray,
    codes: np.ndarray,
) -> bool:
    """Write the legal admissions of a node; whether there is one."""
    place = layout[0]
    predictions = int(place.predictions) == 1
    node = int(view.clock[e].place)
    pool = float(view.world.nodes[node].hbm_pool_bytes)
    any_legal = False
    for q in range(int(view.nodes[e, node].queue_len)):
        stage = int(view.node_queue[e, node, q])
        model = int(view.stages[e, stage].model)
        for level in range(NUM_RESERVE_LEVELS):
            # The other levels rest on predicted lengths, and so would their legality.
            blind = level in (RESERVE_MAX, RESERVE_PROMPT)
            if not (predictions or every_level or blind) or not can_admit(view, e, node, q, level):
                continue
            code = admit_code(view, q, level)
            action = int(place.rows_node) + code
            row = candidates[action]
            any_legal = True
            mask[action] = True
            codes[action] = code
            _open_row(layout, row, KIND_ADMIT)
            write_stage(view, e, stage, row, int(place.stage), predictions)
            write_model(view, e, node, model, row, int(place.model))
            write_pair(view, e, node, stage, row, int(place.pair), predictions)
            at = int(place.action)
            row[at + level] = 1.0
            if predictions or blind:
                need = admit_bytes(view, e, node, stage, level)
                row[at + NUM_RESERVE_LEVELS] = of_share(need, pool)
                short = need > free_kv_bytes(view, e, node, int(view.slot_of[e, node, model]))
                row[at + NUM_RESERVE_LEVELS + 1] = 1.0 if short else 0.0
            _write_use(view, e, node, model, row, at)
    return any_legal


@njit
def _open_residency(
    view: View, e: int, layout: np.ndarray, candidates: np.ndarray, mask: np.ndarray, codes: np.ndarray
) -> bool:
    """Write the legal promotions and demotions of a node; whether there is one."""
    place = layout[0]
    node = int(view.clock[e].place)
    pool = float(view.world.nodes[node].hbm_pool_bytes)
    any_legal = False
    for model in range(view.world.models.shape[0]):
        promote, demote = can_promote(view, e, node, model), can_demote(view, e, node, model)
        for kind in (KIND_PROMOTE, KIND_DEMOTE):
            if not (promote if kind == KIND_PROMOTE else demote):
                continue
            code = promote_code(view, model) if kind == KIND_PROMOTE else demote_code(view, model)
            action = int(place.rows_node) + code
            row = candidates[action]
            any_legal = True
            mask[action] = True
            codes[action] = code
            _open_row(layout, row, kind)
            write_model(view, e, node, model, row, int(place.model))
            at = int(place.action)
            if kind == KIND_PROMOTE:
                need = load_bytes(view, e, node, model)
                row[at + NUM_RESERVE_LEVELS] = of_share(need, pool)
                row[at + NUM_RESERVE_LEVELS + 1] = 1.0 if need > load_room_bytes(view, e, node) else 0.0
            _write_use(view, e, node, model, row, at)
    return any_legal


@njit
def _observe_node(
    view: View,
    e: int,
    layout: np.ndarray,
    candidates: np.ndarray,
    context: np.ndarray,
    mask: np.ndarray,
    codes: np.ndarray,
) -> None:
    place = layout[0]
    write_node(view, e, int(view.clock[e].place), context, int(place.context_node), int(place.predictions) == 1)
    any_legal = False
    if int(view.clock[e].wait_legal) == 1:
        first = int(place.rows_node)
        any_legal = True
        mask[first] = True
        codes[first] = WAIT
        _open_row(layout, candidates[first], KIND_WAIT)
    any_legal = _open_admits(view, e, layout, False, candidates, mask, codes) or any_legal
    any_legal = _open_residency(view, e, layout, candidates, mask, codes) or any_legal
    if not any_legal:
        _open_admits(view, e, layout, True, candidates, mask, codes)


@njit
def observe(
    view: View,
    nothing: Hidden,
    e: int,
    tier: int,
    workflows: int,
    layout: np.ndarray,
    heads: np.ndarray,
    bands: np.ndarray,
    keys: np.ndarray,
    window: np.ndarray,
    candidates: np.ndarray,
    context: np.ndarray,
    mask: np.ndarray,
    codes: np.ndarray,
) -> None:
    """Write what an agent sees of the pending decision of one environment.

    Args:
        view: what a scheduler may know.
        nothing: an empty truth.
        e: environment.
        tier: of the pending decision; NO_TIER at the end of an episode shows the context only.
        workflows: in the system, arrived and not finished.
        layout: LAYOUT, shape (1,).
        heads: scratch of the window, int64, shape (3, K).
        bands: scratch of the window, int64, shape (3, K).
        keys: scratch of the window, float64, shape (3, K).
        window: int64, shape (K,): stages shown to the global tier.
        candidates: float32, shape (A, F), written.
        context: float32, shape (G,), written.
        mask: bool, shape (A,), written: the legal actions, never empty.
        codes: int64, shape (A,), written: the engine's code of each legal action.
    """
    candidates[:] = 0.0
    context[:] = 0.0
    mask[:] = False
    place = layout[0]
    write_fleet(view, e, workflows, context, int(place.context_fleet), int(place.predictions) == 1)
    if tier == TIER_GLOBAL:
        _observe_global(view, nothing, e, layout, heads, bands, keys, window, candidates, mask, codes)
    elif tier == TIER_CLUSTER:
        _observe_cluster(view, e, layout, candidates, context, mask, codes)
    elif tier == TIER_NODE:
        _observe_node(view, e, layout, candidates, context, mask, codes)
    else:
        # Nothing is asked; a sampler of the mask still finds one action.
        mask[0] = True
        return
    if int(place.context_tier) >= 0:
        context[int(place.context_tier) + tier] = 1.0
