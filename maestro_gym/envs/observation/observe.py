"""Observation, mask and action codes of the pending decision, written into the caller's arrays.

Reads the view alone. One function writes all three, so a mask and its observation cannot disagree.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.action import NO_LEVEL, Need, write_action
from maestro_gym.envs.observation.cluster import find_goal, write_cluster
from maestro_gym.envs.observation.fleet import write_fleet
from maestro_gym.envs.observation.kinds import (
    KIND_ADMIT,
    KIND_DEMOTE,
    KIND_PROMOTE,
    KIND_REJECT,
    KIND_ROUTE,
    KIND_SEND,
    KIND_WAIT,
    write_kind,
    write_legal,
    write_tier,
)
from maestro_gym.envs.observation.model import write_model
from maestro_gym.envs.observation.node import write_node
from maestro_gym.envs.observation.pair import write_pair
from maestro_gym.envs.observation.stage import write_stage
from maestro_gym.envs.observation.window import fill_window
from maestro_gym.scheduling.actions import WAIT, admit_code, demote_code, promote_code, reject_code, send_code
from maestro_gym.scheduling.legal import can_admit, can_demote, can_promote, can_reject, can_route, can_send
from maestro_gym.scheduling.sizes import admit_bytes, free_kv_bytes, load_bytes, load_room_bytes
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL, TIER_NODE
from maestro_gym.scheduling.view import model_of, queued_stage
from maestro_gym.state import NUM_RESERVE_LEVELS, RESERVE_MAX, RESERVE_PROMPT, Hidden, View


@njit
def _open_row(layout: np.ndarray, row: np.ndarray, kind: int) -> None:
    """Mark a row as legal and of a kind."""
    place = layout[0]
    write_legal(row, int(place.legal), False)
    if int(place.kind) >= 0:
        write_kind(kind, row, int(place.kind), False)


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
        if can_reject(view, e, stage):
            action = first + 1 + window.shape[0] * clusters + k
            mask[action] = True
            codes[action] = reject_code(view, stage)
            _open_row(layout, candidates[action], KIND_REJECT)
            write_stage(view, e, stage, candidates[action], int(place.stage), predictions)
        for cluster in range(clusters):
            if not can_send(view, e, stage, cluster):
                continue
            action = first + 1 + k * clusters + cluster
            row = candidates[action]
            mask[action] = True
            codes[action] = send_code(view, stage, cluster)
            _open_row(layout, row, KIND_SEND)
            write_stage(view, e, stage, row, int(place.stage), predictions)
            goal = find_goal(view, e, cluster, stage, predictions)
            write_cluster(view, e, goal, row, int(place.cluster), predictions)
            write_model(view, e, goal.best, goal.model, row, int(place.model), predictions)
            write_pair(view, e, goal.best, stage, row, int(place.pair), predictions)


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
    model = model_of(view, e, stage)
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
            write_model(view, e, node, model, row, int(place.model), predictions)
            write_pair(view, e, node, stage, row, int(place.pair), predictions)
        action += 1


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
    any_legal = False
    for q in range(int(view.nodes[e, node].queue_len)):
        stage = queued_stage(view, e, node, q)
        model = model_of(view, e, stage)
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
            write_model(view, e, node, model, row, int(place.model), predictions)
            write_pair(view, e, node, stage, row, int(place.pair), predictions)
            need_bytes, reclaims = 0.0, False
            if predictions or blind:
                need_bytes = float(admit_bytes(view, e, node, stage, level))
                reclaims = need_bytes > free_kv_bytes(view, e, node, int(view.slot_of[e, node, model]))
            need = Need(level, need_bytes, reclaims)
            write_action(view, e, node, model, need, row, int(place.action), predictions)
    return any_legal


@njit
def _open_residency(
    view: View, e: int, layout: np.ndarray, candidates: np.ndarray, mask: np.ndarray, codes: np.ndarray
) -> bool:
    """Write the legal promotions and demotions of a node; whether there is one."""
    place = layout[0]
    predictions = int(place.predictions) == 1
    node = int(view.clock[e].place)
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
            write_model(view, e, node, model, row, int(place.model), predictions)
            need_bytes, reclaims = 0.0, False
            if kind == KIND_PROMOTE:
                need_bytes = float(load_bytes(view, e, node, model))
                reclaims = need_bytes > load_room_bytes(view, e, node)
            need = Need(NO_LEVEL, need_bytes, reclaims)
            write_action(view, e, node, model, need, row, int(place.action), predictions)
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
        view: What a scheduler may know.
        nothing: An empty truth.
        e: The environment.
        tier: The tier of the pending decision; NO_TIER at the end of an episode shows the context only.
        workflows: Number of workflows in the system, arrived and not finished.
        layout: LAYOUT, shape (1,).
        heads: Scratch of the window, int64, shape (3, K).
        bands: Scratch of the window, int64, shape (3, K).
        keys: Scratch of the window, float64, shape (3, K).
        window: Array of int64, shape (K,): stages shown to the global tier.
        candidates: Array of float32, shape (A, F), written.
        context: Array of float32, shape (G,), written.
        mask: Array of bool, shape (A,), written: the legal actions, never empty.
        codes: Array of int64, shape (A,), written: the engine's code of each legal action.
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
        write_tier(tier, context, int(place.context_tier), False)
