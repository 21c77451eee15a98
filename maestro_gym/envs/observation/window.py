"""The window: which of the ready stages an agent of the global tier is shown, or which of those that wait for a tool.

Heads of the queue by Maestro's key, by deadline and by age, taken in turn without duplicates, and of ready stages
only those that some node can take now. So the first choice of Maestro, EDF and FCFS is always in it.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.baselines.orders.edf import key as deadline_key
from maestro_gym.baselines.orders.maestro import band as maestro_band
from maestro_gym.baselines.orders.maestro import key as maestro_key
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.legal import can_reject, can_route
from maestro_gym.scheduling.order import is_sooner
from maestro_gym.scheduling.tool_view import first_at_tool, next_at_tool, tool_to_give
from maestro_gym.scheduling.view import (
    ready_stage,
)
from maestro_gym.state import Hidden, View

NUM_ORDERS = 3


@njit
def _insert(
    heads: np.ndarray, bands: np.ndarray, keys: np.ndarray, length: int, stage: int, band: int, key: float
) -> int:
    """Put a stage into a sorted list of bounded length, behind its equals; the new length."""
    place = length
    while place > 0 and is_sooner(band, key, int(bands[place - 1]), float(keys[place - 1])):
        place -= 1
    if place == heads.shape[0]:
        return length
    length = min(length + 1, heads.shape[0])
    for i in range(length - 1, place, -1):
        heads[i], bands[i], keys[i] = heads[i - 1], bands[i - 1], keys[i - 1]
    heads[place], bands[place], keys[place] = stage, band, key
    return length


@njit
def _enters(bands: np.ndarray, keys: np.ndarray, length: int, band: int, key: float) -> bool:
    """Whether a stage would find a place in the list."""
    full = length == bands.shape[0]
    return not full or is_sooner(band, key, int(bands[length - 1]), float(keys[length - 1]))


@njit
def _is_feasible(view: View, e: int, stage: int) -> bool:
    if can_reject(view, e, stage):
        return True
    for node in range(view.world.nodes.shape[0]):  # noqa: SIM110 - numba compiles no generator expression
        if can_route(view, e, stage, node):
            return True
    return False


@njit
def _consider(
    view: View,
    nothing: Hidden,
    e: int,
    stage: int,
    predictions: bool,
    ready: bool,
    lengths: tuple[int, int, int],
    heads: np.ndarray,
    bands: np.ndarray,
    keys: np.ndarray,
) -> tuple[int, int, int]:
    """Put a stage among the heads of the orders in which it has a place; their new lengths.

    Args:
        view: What a scheduler sees.
        nothing: An empty truth.
        e: The environment.
        stage: The stage; they come in order of age.
        predictions: False leaves Maestro's key out.
        ready: Whether it is shown only where some node can take it.
        lengths: Of the heads by Maestro's key, by deadline and by age.
        heads: As in `fill_window`.
        bands: As in `fill_window`.
        keys: As in `fill_window`.
    """
    by_maestro, by_deadline, by_age = lengths
    deadline_s = deadline_key(view, nothing, e, stage)
    band, key = 0, 0.0
    if predictions:
        band = maestro_band(view, e, stage)
        key = maestro_key(view, nothing, e, stage)
    first = predictions and _enters(bands[0], keys[0], by_maestro, band, key)
    urgent = _enters(bands[1], keys[1], by_deadline, 0, deadline_s)
    old = by_age < heads.shape[1]
    if not (first or urgent or old) or (ready and not _is_feasible(view, e, stage)):
        return lengths
    if first:
        by_maestro = _insert(heads[0], bands[0], keys[0], by_maestro, stage, band, key)
    if urgent:
        by_deadline = _insert(heads[1], bands[1], keys[1], by_deadline, stage, 0, deadline_s)
    if old:
        heads[2, by_age] = stage
        by_age += 1
    return by_maestro, by_deadline, by_age


@njit
def _take_turns(lengths: tuple[int, int, int], heads: np.ndarray, window: np.ndarray) -> int:
    """Fill the window with the heads of the orders in turn, each stage once; the number of stages in it."""
    by_maestro, by_deadline, by_age = lengths
    size, chosen = window.shape[0], 0
    for rank in range(size):
        for order in range(NUM_ORDERS):
            length = by_maestro if order == 0 else (by_deadline if order == 1 else by_age)
            if rank >= length or chosen == size:
                continue
            stage = int(heads[order, rank])
            known = False
            for k in range(chosen):
                known = known or window[k] == stage
            if not known:
                window[chosen] = stage
                chosen += 1
    return chosen


@njit
def fill_window(
    view: View,
    nothing: Hidden,
    e: int,
    predictions: bool,
    heads: np.ndarray,
    bands: np.ndarray,
    keys: np.ndarray,
    window: np.ndarray,
) -> int:
    """Choose the stages of the window.

    Args:
        view: What a scheduler sees.
        nothing: An empty truth, which the orders take and do not read.
        e: The environment.
        predictions: False leaves Maestro's key out.
        heads: Scratch, int64, shape (3, K).
        bands: Scratch, int64, shape (3, K).
        keys: Scratch, float64, shape (3, K).
        window: Array of int64, shape (K,), written from the front.

    Returns:
        Number of stages in the window.
    """
    lengths = (0, 0, 0)
    for i in range(int(view.clock[e].global_len)):
        stage = ready_stage(view, e, i)
        lengths = _consider(view, nothing, e, stage, predictions, True, lengths, heads, bands, keys)
    return _take_turns(lengths, heads, window)


@njit
def fill_with_calls(
    view: View,
    nothing: Hidden,
    e: int,
    predictions: bool,
    heads: np.ndarray,
    bands: np.ndarray,
    keys: np.ndarray,
    window: np.ndarray,
) -> int:
    """Choose among the stages that wait for the tool of the pending decision; arguments as of `fill_window`."""
    lengths = (0, 0, 0)
    stage = first_at_tool(view, e, tool_to_give(view, e))
    while stage >= 0:
        lengths = _consider(view, nothing, e, stage, predictions, False, lengths, heads, bands, keys)
        stage = next_at_tool(view, e, stage)
    return _take_turns(lengths, heads, window)
