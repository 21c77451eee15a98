"""Observation, mask and action codes of the pending decision, written into the caller's arrays.

Reads the view alone. One function writes all three, so a mask and its observation cannot disagree.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.call import write_call
from maestro_gym.envs.observation.cluster import find_goal, write_cluster
from maestro_gym.envs.observation.duty import write_duty, write_handover
from maestro_gym.envs.observation.fleet import write_fleet
from maestro_gym.envs.observation.kinds import KIND_OTHER, KIND_ROUTE, KIND_SEND, KIND_WAIT, open_row, write_tier
from maestro_gym.envs.observation.model import write_model
from maestro_gym.envs.observation.node import write_node
from maestro_gym.envs.observation.node_rows import observe_context, observe_node
from maestro_gym.envs.observation.pair import write_pair
from maestro_gym.envs.observation.power import write_power, write_scale
from maestro_gym.envs.observation.stage import write_stage
from maestro_gym.envs.observation.tenant import write_tenant
from maestro_gym.envs.observation.window import fill_window, fill_with_calls
from maestro_gym.scheduling.actions import WAIT, reject_code, send_code, start_code, stop_code
from maestro_gym.scheduling.legal import can_reject, can_route, can_send, can_start, can_stop
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_CONTEXT, TIER_GLOBAL, TIER_NODE, TIER_TOOL
from maestro_gym.scheduling.tool_view import rule_tier
from maestro_gym.scheduling.view import model_of
from maestro_gym.state import Hidden, View


@njit
def _write_asker(view: View, e: int, stage: int, layout: np.ndarray, row: np.ndarray, gives: bool) -> None:
    """Write a stage that waits in the global queue or for a tool: itself, its tenant, its calls."""
    place = layout[0]
    predictions = int(place.predictions) == 1
    write_stage(view, e, stage, row, int(place.stage), predictions)
    if int(place.tenant) >= 0:
        write_tenant(view, e, stage, row, int(place.tenant), predictions)
    if int(place.call) >= 0:
        write_call(view, e, stage, gives, row, int(place.call), predictions)


@njit
def _open_scaling(
    view: View, e: int, layout: np.ndarray, candidates: np.ndarray, mask: np.ndarray, codes: np.ndarray
) -> None:
    """Write the nodes that may be started, then those that may be stopped."""
    place, nodes = layout[0], view.world.nodes.shape[0]
    for i in range(2 * nodes):
        node, starts = i % nodes, i < nodes
        if not (can_start(view, e, node) if starts else can_stop(view, e, node)):
            continue
        action = int(place.rows_scaling) + i
        mask[action] = True
        codes[action] = start_code(view, node) if starts else stop_code(view, node)
        open_row(layout, candidates[action], KIND_OTHER)
        write_power(view, e, node, starts, candidates[action], int(place.power), int(place.predictions) == 1)


@njit
def _observe_tool(
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
    """Write the calls that may get a free place of a tool."""
    place = layout[0]
    predictions = int(place.predictions) == 1
    for k in range(fill_with_calls(view, nothing, e, predictions, heads, bands, keys, window)):
        action, stage = int(place.rows_tools) + k, int(window[k])
        mask[action] = True
        codes[action] = stage
        open_row(layout, candidates[action], KIND_OTHER)
        _write_asker(view, e, stage, layout, candidates[action], True)


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
        open_row(layout, candidates[first], KIND_WAIT)
    if int(place.rows_scaling) >= 0:
        _open_scaling(view, e, layout, candidates, mask, codes)
    clusters = view.world.latency_s.shape[0]
    for k in range(fill_window(view, nothing, e, predictions, heads, bands, keys, window)):
        stage = int(window[k])
        if can_reject(view, e, stage):
            action = first + 1 + window.shape[0] * clusters + k
            mask[action] = True
            codes[action] = reject_code(view, stage)
            open_row(layout, candidates[action], KIND_OTHER)
            _write_asker(view, e, stage, layout, candidates[action], False)
        for cluster in range(clusters):
            if not can_send(view, e, stage, cluster):
                continue
            action = first + 1 + k * clusters + cluster
            row = candidates[action]
            mask[action] = True
            codes[action] = send_code(view, stage, cluster)
            open_row(layout, row, KIND_SEND)
            _write_asker(view, e, stage, layout, row, False)
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
    if int(place.context_tenant) >= 0:
        write_tenant(view, e, stage, context, int(place.context_tenant), predictions)
    if int(place.context_handover) >= 0:
        write_handover(view, e, stage, context, int(place.context_handover), predictions)
    action = int(place.rows_cluster)
    for node in range(view.world.nodes.shape[0]):
        if int(view.world.nodes[node].cluster) != cluster:
            continue
        if can_route(view, e, stage, node):
            row = candidates[action]
            mask[action] = True
            codes[action] = node
            open_row(layout, row, KIND_ROUTE)
            write_node(view, e, node, row, int(place.node), predictions)
            write_model(view, e, node, model, row, int(place.model), predictions)
            write_pair(view, e, node, stage, row, int(place.pair), predictions)
            if int(place.duty) >= 0:
                write_duty(view, e, node, stage, row, int(place.duty), predictions)
        action += 1


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
        tier: TIER_* of the pending decision; NO_TIER at the end of an episode shows the context only.
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
    if int(place.context_scale) >= 0:
        write_scale(view, e, context, int(place.context_scale), int(place.predictions) == 1)
    if tier == TIER_GLOBAL:
        _observe_global(view, nothing, e, layout, heads, bands, keys, window, candidates, mask, codes)
    elif tier == TIER_CLUSTER:
        _observe_cluster(view, e, layout, candidates, context, mask, codes)
    elif tier == TIER_NODE:
        observe_node(view, e, layout, candidates, context, mask, codes)
    elif tier == TIER_TOOL:
        _observe_tool(view, nothing, e, layout, heads, bands, keys, window, candidates, mask, codes)
    elif tier == TIER_CONTEXT:
        observe_context(view, e, layout, candidates, context, mask, codes)
    else:
        # Nothing is asked; a sampler of the mask still finds one action.
        mask[0] = True
        return
    if int(place.context_tier) >= 0:
        write_tier(rule_tier(tier), context, int(place.context_tier), False)
