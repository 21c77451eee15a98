"""Which ready stage is sent next: the loop that all global rules share.

It is work-conserving: a stage that no node can take does not hold up those behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from maestro_gym.baselines.late_binding.displacement import displacement_node
from maestro_gym.baselines.late_binding.gates import GATE_HELD, NUM_GATES, is_expected, is_open
from maestro_gym.baselines.late_binding.holds import leaves_places
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.legal import stage_fits
from maestro_gym.scheduling.order import is_sooner
from maestro_gym.scheduling.view import decision_number, model_of, num_nodes, num_ready, ready_stage
from maestro_gym.state import Hidden, View


@njit
def can_leave(view: View, e: int, stage: int, gate: int) -> bool:
    """Whether some node is open to a stage now."""
    expected = is_expected(view, e, stage, gate)
    for node in range(num_nodes(view)):
        if is_open(view, e, stage, node, gate, expected):
            return True
    return displacement_node(view, e, stage, -1, gate, expected) >= 0


@njit
def fits_somewhere(view: View, e: int, stage: int) -> bool:
    """Whether some node could serve a stage at all."""
    for node in range(num_nodes(view)):  # noqa: SIM110 - numba compiles no generator expression
        if stage_fits(view, e, stage, node):
            return True
    return False


@njit
def first_in_order(
    view: View, oracle: Hidden, e: int, band: Callable[..., int], key: Callable[..., float], gate: int
) -> int:
    """First stage of the global queue, by band and key, that some node is open to; -1 = none.

    The queue is in order of readiness and gates open with waiting, so once a stage finds all nodes
    closed, the later stages of its model need not be tried; where nodes keep places for pressing ones
    (`holds.leaves_places`), a stage that is not pressing says nothing about those that are.
    """
    # No other scan, of another decision or gate, marks a model with these numbers.
    closed = 2.0 * (1 + decision_number(view, e) * NUM_GATES + gate)
    closed_to_others = closed + 1.0
    left = 0
    for model in range(view.models.shape[1]):
        left += 1 if int(view.models[e, model].ready) > 0 else 0
    best, best_band, best_key = -1, 1 << 30, math.inf
    for position in range(num_ready(view, e)):
        if left == 0:
            break
        stage = ready_stage(view, e, position)
        model = model_of(view, e, stage)
        mark = float(view.model_memory[e, model])
        if mark == closed:
            continue
        other = gate == GATE_HELD and leaves_places(view, e, stage)
        if other and mark == closed_to_others:
            continue
        its_band, its_key = band(view, e, stage), key(view, oracle, e, stage)
        if best >= 0 and not is_sooner(its_band, its_key, best_band, best_key):
            continue
        if can_leave(view, e, stage, gate):
            best, best_band, best_key = stage, its_band, its_key
        elif fits_somewhere(view, e, stage):
            view.model_memory[e, model] = closed_to_others if other else closed
            left -= 0 if other else 1
    return best
