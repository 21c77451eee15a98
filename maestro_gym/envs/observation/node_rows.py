"""What an agent of the node tier sees: the rows of one node's actions, and what is legal of them."""

from __future__ import annotations

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.action import NO_LEVEL, Need, write_action
from maestro_gym.envs.observation.degree import write_board, write_degree
from maestro_gym.envs.observation.fate import NUM_FATES, fate_code, write_fate, write_kept
from maestro_gym.envs.observation.kinds import KIND_ADMIT, KIND_DEMOTE, KIND_OTHER, KIND_PROMOTE, KIND_WAIT, open_row
from maestro_gym.envs.observation.model import write_model
from maestro_gym.envs.observation.node import write_node
from maestro_gym.envs.observation.pair import write_pair
from maestro_gym.envs.observation.stage import write_stage
from maestro_gym.envs.observation.tenant import write_tenant
from maestro_gym.scheduling.actions import WAIT, admit_code, demote_code, promote_code, regroup_code
from maestro_gym.scheduling.degrees import degree_of, next_degree
from maestro_gym.scheduling.legal import can_admit, can_demote, can_promote, can_regroup, may_regroup
from maestro_gym.scheduling.sizes import admit_bytes, free_kv_bytes, load_bytes, load_room_bytes
from maestro_gym.scheduling.tool_view import stage_of_context
from maestro_gym.scheduling.view import (
    model_of,
    queued_stage,
)
from maestro_gym.state import NUM_RESERVE_LEVELS, RESERVE_MAX, RESERVE_PROMPT, View


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
            open_row(layout, row, KIND_ADMIT)
            write_stage(view, e, stage, row, int(place.stage), predictions)
            write_model(view, e, node, model, row, int(place.model), predictions)
            write_pair(view, e, node, stage, row, int(place.pair), predictions)
            if int(place.tenant) >= 0:
                write_tenant(view, e, stage, row, int(place.tenant), predictions)
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
            open_row(layout, row, kind)
            write_model(view, e, node, model, row, int(place.model), predictions)
            need_bytes, reclaims = 0.0, False
            if kind == KIND_PROMOTE:
                need_bytes = float(load_bytes(view, e, node, model))
                reclaims = need_bytes > load_room_bytes(view, e, node)
            need = Need(NO_LEVEL, need_bytes, reclaims)
            write_action(view, e, node, model, need, row, int(place.action), predictions)
    return any_legal


@njit
def _open_wait(
    view: View, e: int, layout: np.ndarray, candidates: np.ndarray, mask: np.ndarray, codes: np.ndarray
) -> bool:
    """Write the action that waits, where it is legal; whether it is."""
    if int(view.clock[e].wait_legal) == 0:
        return False
    first = int(layout[0].rows_node)
    mask[first] = True
    codes[first] = WAIT
    open_row(layout, candidates[first], KIND_WAIT)
    return True


@njit
def _open_degrees(
    view: View, e: int, layout: np.ndarray, candidates: np.ndarray, mask: np.ndarray, codes: np.ndarray
) -> None:
    """Write the degrees to which the GPUs of the node's board may be grouped; to wait is to leave them."""
    place = layout[0]
    node, row_of = int(view.clock[e].place), int(place.rows_degrees)
    if row_of < 0:
        return
    other = int(view.world.boards[view.world.nodes[node].board].first_node)
    while other >= 0:
        if can_regroup(view, e, node, degree_of(view, other)):
            mask[row_of] = True
            codes[row_of] = regroup_code(view, degree_of(view, other))
            open_row(layout, candidates[row_of], KIND_OTHER)
            write_degree(view, e, other, candidates[row_of], int(place.degree), int(place.predictions) == 1)
        row_of += 1
        other = next_degree(view, node, degree_of(view, other))


@njit
def observe_node(
    view: View,
    e: int,
    layout: np.ndarray,
    candidates: np.ndarray,
    context: np.ndarray,
    mask: np.ndarray,
    codes: np.ndarray,
) -> None:
    """Write what an agent sees of a decision of a node; arguments as of `observe.observe`."""
    place = layout[0]
    predictions, node = int(place.predictions) == 1, int(view.clock[e].place)
    write_node(view, e, node, context, int(place.context_node), predictions)
    if int(place.context_board) >= 0:
        write_board(view, e, node, context, int(place.context_board), predictions)
    any_legal = _open_wait(view, e, layout, candidates, mask, codes)
    if may_regroup(view, e):
        _open_degrees(view, e, layout, candidates, mask, codes)
        return
    any_legal = _open_admits(view, e, layout, False, candidates, mask, codes) or any_legal
    any_legal = _open_residency(view, e, layout, candidates, mask, codes) or any_legal
    if not any_legal:
        _open_admits(view, e, layout, True, candidates, mask, codes)


@njit
def observe_context(
    view: View,
    e: int,
    layout: np.ndarray,
    candidates: np.ndarray,
    context: np.ndarray,
    mask: np.ndarray,
    codes: np.ndarray,
) -> None:
    """Write what it sees where a stage's context may be left, dropped, offloaded or held; arguments as before."""
    place = layout[0]
    predictions, stage = int(place.predictions) == 1, stage_of_context(view, e)
    write_node(view, e, int(view.stages[e, stage].node), context, int(place.context_node), predictions)
    write_kept(view, e, stage, context, int(place.context_kept), predictions)
    write_stage(view, e, stage, context, int(place.context_stage), predictions)
    for fate in range(NUM_FATES):
        action = int(place.rows_contexts) + fate
        mask[action] = True
        codes[action] = fate_code(view, fate)
        open_row(layout, candidates[action], KIND_OTHER)
        write_fate(view, e, codes[action], candidates[action], int(place.fate), predictions)
