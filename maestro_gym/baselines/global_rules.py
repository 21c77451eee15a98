"""Global rules: which ready stage is sent next, and to which cluster.

All are work-conserving: a stage that no node can take does not hold up those behind it.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.displacement import displacement_node
from maestro_gym.baselines.fitness import FitnessScale, fittest_node
from maestro_gym.baselines.gates import GATE_FLEET, GATE_NONE, NUM_GATES, is_expected, is_open
from maestro_gym.baselines.keys import is_sooner, order_band, order_key
from maestro_gym.baselines.routing import ROUTE_ROUND_ROBIN, best_node, gate_of
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import WAIT, send_code
from maestro_gym.scheduling.legal import can_send, stage_fits
from maestro_gym.scheduling.policy import RuleFunction
from maestro_gym.state import Hidden, View

_TURN_NOTE = 0
"""Place of the round-robin turn in ``view.memory``: one more than the cluster chosen last."""


@njit
def can_leave(view: View, e: int, stage: int, gate: int) -> bool:
    """Whether some node is open to a stage now."""
    expected = is_expected(view, e, stage, gate)
    for node in range(view.world.nodes.shape[0]):
        if is_open(view, e, stage, node, gate, expected):
            return True
    return displacement_node(view, e, stage, -1, gate, expected) >= 0


@njit
def fits_somewhere(view: View, e: int, stage: int) -> bool:
    """Whether some node could serve a stage at all."""
    for node in range(view.world.nodes.shape[0]):  # noqa: SIM110 - numba compiles no generator expression
        if stage_fits(view, e, stage, node):
            return True
    return False


@njit
def first_in_order(view: View, oracle: Hidden, e: int, order: int, gate: int) -> int:
    """First stage of the global queue, by an order of ``keys``, that some node is open to; -1 = none.

    The queue is in order of readiness and gates open with waiting, so once a stage finds all nodes
    closed, the later stages of its model need not be tried.
    """
    # No other scan, of another decision or gate, marks a model with this number.
    closed = float(1 + int(view.clock[e].decisions) * NUM_GATES + gate)
    left = 0
    for model in range(view.models.shape[1]):
        left += 1 if int(view.models[e, model].ready) > 0 else 0
    best, best_band, best_key = -1, 1 << 30, math.inf
    for position in range(int(view.clock[e].global_len)):
        if left == 0:
            break
        stage = int(view.global_queue[e, position])
        model = int(view.stages[e, stage].model)
        if float(view.model_memory[e, model]) == closed:
            continue
        band = order_band(view, e, stage, order)
        key = order_key(view, oracle, e, stage, order)
        if best >= 0 and not is_sooner(band, key, best_band, best_key):
            continue
        if can_leave(view, e, stage, gate):
            best, best_band, best_key = stage, band, key
        elif fits_somewhere(view, e, stage):
            view.model_memory[e, model] = closed
            left -= 1
    return best


@njit
def next_cluster(view: View, e: int, stage: int) -> int:
    """Next cluster in turn that can take a stage; the policy's note moves on to it."""
    num_clusters = view.world.latency_s.shape[0]
    start = int(view.memory[e, _TURN_NOTE])
    for step in range(num_clusters):
        cluster = (start + step) % num_clusters
        if can_send(view, e, stage, cluster):
            view.memory[e, _TURN_NOTE] = float(cluster + 1)
            return cluster
    return -1


def make_global_rule(order: int, routing: int) -> RuleFunction:
    """Global rule with one of the ``ORDER_*`` and the cluster of the best node under a ``ROUTE_*``."""
    gate = gate_of(routing)

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        limit = gate
        stage = first_in_order(view, oracle, e, order, limit)
        if stage < 0 and int(view.clock[e].wait_legal) == 0:
            limit = GATE_NONE
            stage = first_in_order(view, oracle, e, order, limit)
        if stage < 0:
            return WAIT
        if routing == ROUTE_ROUND_ROBIN:
            return send_code(view, stage, next_cluster(view, e, stage))
        node = best_node(view, e, stage, -1, routing, limit)
        return send_code(view, stage, int(view.world.nodes[node].cluster))

    return rule


def make_fitness_global_rule(order: int, scale: FitnessScale, normalise: bool) -> RuleFunction:
    """Global rule with one of the ``ORDER_*`` and the cluster of Maestro's fittest node.

    Args:
        order: order of the global queue.
        scale: frozen percentiles of the fitness terms.
        normalise: False leaves the terms in raw time.
    """
    # A plain tuple: numba then compiles the limits in as constants.
    a, b, c, d, f, g = (float(limit) for limit in scale)
    limits = (a, b, c, d, f, g)

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        gate = GATE_FLEET
        stage = first_in_order(view, oracle, e, order, gate)
        if stage < 0 and int(view.clock[e].wait_legal) == 0:
            gate = GATE_NONE
            stage = first_in_order(view, oracle, e, order, gate)
        if stage < 0:
            return WAIT
        node = fittest_node(view, e, stage, -1, gate, normalise, limits)
        return send_code(view, stage, int(view.world.nodes[node].cluster))

    return rule
