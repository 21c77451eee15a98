"""Global rules: which ready stage is sent next, and to which cluster.

All are work-conserving: a stage that no node can take does not hold up those behind it.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.fitness import FitnessScale, fittest_node
from maestro_gym.baselines.gates import GATE_NONE, GATE_SAFE, is_open
from maestro_gym.baselines.keys import is_sooner, order_band, order_key
from maestro_gym.baselines.routing import ROUTE_ROUND_ROBIN, best_node, gate_of
from maestro_gym.jit import njit
from maestro_gym.policy import RuleFunction
from maestro_gym.schema import Hidden, View
from maestro_gym.sim.actions import WAIT, send_code
from maestro_gym.sim.legal import can_send

_TURN_NOTE = 0
"""Place of the round-robin turn in ``view.memory``: one more than the cluster chosen last."""


@njit
def can_leave(view: View, e: int, stage: int, gate: int) -> bool:
    """Whether some node is open to a stage now."""
    for node in range(view.world.nodes.shape[0]):  # noqa: SIM110 - numba compiles no generator expression
        if is_open(view, e, stage, node, gate):
            return True
    return False


@njit
def first_in_order(view: View, oracle: Hidden, e: int, order: int, gate: int) -> int:
    """First stage of the global queue, by an order of ``keys``, that some node is open to; -1 = none."""
    best, best_band, best_key = -1, 1 << 30, math.inf
    for position in range(int(view.clock[e].global_len)):
        stage = int(view.global_queue[e, position])
        band = order_band(view, e, stage, order)
        key = order_key(view, oracle, e, stage, order)
        if (best < 0 or is_sooner(band, key, best_band, best_key)) and can_leave(view, e, stage, gate):
            best, best_band, best_key = stage, band, key
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
    limits = tuple(float(limit) for limit in scale)

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        gate = GATE_SAFE
        stage = first_in_order(view, oracle, e, order, gate)
        if stage < 0 and int(view.clock[e].wait_legal) == 0:
            gate = GATE_NONE
            stage = first_in_order(view, oracle, e, order, gate)
        if stage < 0:
            return WAIT
        node = fittest_node(view, e, stage, -1, gate, normalise, limits)
        return send_code(view, stage, int(view.world.nodes[node].cluster))

    return rule
