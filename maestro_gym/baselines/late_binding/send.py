"""Which ready stage is sent next: the loop that all global rules share.

It is work-conserving: a stage that no node can take does not hold up those behind it.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.late_binding.bounds import Keys
from maestro_gym.baselines.late_binding.displacement import displacement_node, displaces, waited_stage_s
from maestro_gym.baselines.late_binding.gates import (
    GATE_HELD,
    NUM_GATES,
    asks_cold_nodes,
    is_expected,
    is_open,
    next_maybe,
)
from maestro_gym.baselines.late_binding.holds import leaves_places
from maestro_gym.baselines.late_binding.room import is_overdue
from maestro_gym.baselines.late_binding.walk import closed_to_others, first_to_try, next_to_try
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.legal import is_cut_off, stage_fits
from maestro_gym.scheduling.order import is_sooner
from maestro_gym.scheduling.sets import has_sets, next_asleep, next_roomy, next_spare, some_node_welcomes
from maestro_gym.scheduling.view import decision_number, first_ready, is_scraped, model_of, num_models, num_nodes
from maestro_gym.state import SIGNAL_RESIDENCY, Hidden, View


@njit
def can_leave(view: View, e: int, stage: int, gate: int) -> bool:
    """Whether some node is open to a stage now."""
    expected = is_expected(view, e, stage, gate)
    model = model_of(view, e, stage)
    node = next_maybe(view, e, model, -1, gate, False, -1)
    while node >= 0:
        if is_open(view, e, stage, node, gate, expected):
            return True
        node = next_maybe(view, e, model, -1, gate, False, node)
    if displaces(gate) and has_sets(view, e) and asks_cold_nodes(view, e, stage, expected):
        node = next_asleep(view, e, model, -1)
        while node >= 0:
            if is_open(view, e, stage, node, gate, expected):
                return True
            node = next_asleep(view, e, model, node)
        node = next_spare(view, e, model, -1)
        while node >= 0:
            if is_open(view, e, stage, node, gate, expected):
                return True
            node = next_spare(view, e, model, node)
    return displacement_node(view, e, stage, -1, gate, expected) >= 0


@njit
def fits_somewhere(view: View, e: int, stage: int) -> bool:
    """Whether some node could serve a stage at all."""
    for node in range(num_nodes(view)):  # noqa: SIM110 - numba compiles no generator expression
        if stage_fits(view, e, stage, node):
            return True
    return False


@njit
def is_closed(view: View, e: int, model: int, gate: int, welcomed: bool) -> bool:
    """Whether the sets of nodes show that no ready stage of a model can leave.

    Args:
        view: What a scheduler sees, with sets.
        e: Environment.
        model: A model with ready stages.
        gate: One of ``gates.GATE_*``.
        welcomed: The answer of `some_node_welcomes`.
    """
    if not displaces(gate):
        return next_roomy(view, e, -1, -1) < 0
    if int(view.models[e, model].open_nodes) > 0:
        return False
    if not welcomed:
        return True
    first, soonest_s = first_ready(view, e, model), float(view.models[e, model].soonest_s)
    expected, sleeps = is_expected(view, e, first, gate), int(view.models[e, model].asleep_nodes) > 0
    # The first has waited longest, but for those that were paused: when it may not yet disturb others, no other may.
    paused = int(view.models[e, model].returned) > 0
    if not expected and (sleeps or waited_stage_s(view, e, model) >= soonest_s):
        return False
    if sleeps and (paused or asks_cold_nodes(view, e, first, expected)):
        return False
    if expected and not paused and not is_overdue(view, e, first, soonest_s):
        return True
    return next_spare(view, e, model, -1) < 0


@njit
def mark_closed(view: View, e: int, gate: int, mark: float) -> None:
    """Mark the models that the sets of nodes show to be closed."""
    if not has_sets(view, e) or is_scraped(view, e, SIGNAL_RESIDENCY):
        return
    welcomed = some_node_welcomes(view, e)
    for model in range(num_models(view)):
        if int(view.models[e, model].ready) > 0 and is_closed(view, e, model, gate, welcomed):
            view.model_memory[e, model] = mark


@njit
def first_in_order(
    view: View,
    oracle: Hidden,
    e: int,
    keys: Keys,
    gate: int,
) -> int:
    """First stage of the global queue, by band and key, that some node is open to; -1 = none.

    The queue is in order of readiness and gates open with waiting, so once a stage finds all nodes
    closed, the later stages of its model need not be tried; where nodes keep places for pressing ones
    (`holds.leaves_places`), a stage that is not pressing says nothing about those that are, and one that a link which
    is down keeps from some cluster nothing about those from elsewhere.

    Args:
        view: What a scheduler sees.
        oracle: The true future, empty but for oracle policies.
        e: Environment.
        keys: The order.
        gate: One of ``gates.GATE_*``.
    """
    # No other scan, of another decision or gate, marks a model with these numbers.
    closed = 2.0 * (1 + decision_number(view, e) * NUM_GATES + gate)
    mark_closed(view, e, gate, closed)
    best, best_band, best_key = -1, 1 << 30, math.inf
    stage = first_to_try(view, e, closed)
    while stage >= 0:
        model = model_of(view, e, stage)
        mark = float(view.model_memory[e, model])
        other = gate == GATE_HELD and leaves_places(view, e, stage)
        if mark != closed and not (other and mark == closed_to_others(closed)):
            its_band, its_key = keys.band(view, e, stage), keys.key(view, oracle, e, stage)
            if best < 0 or is_sooner(its_band, its_key, best_band, best_key):
                if can_leave(view, e, stage, gate):
                    best, best_band, best_key = stage, its_band, its_key
                elif not is_cut_off(view, e, stage) and fits_somewhere(view, e, stage):
                    view.model_memory[e, model] = closed_to_others(closed) if other else closed
        stage = next_to_try(view, oracle, e, stage, closed, keys, best_band, best_key)
    return best
