"""Cluster rules: to which node of its cluster a stage goes."""

from __future__ import annotations

from maestro_gym.baselines.fitness import FitnessScale, fittest_node
from maestro_gym.baselines.gates import GATE_CLUSTER, GATE_FLEET, GATE_NONE
from maestro_gym.baselines.routing import ROUTE_ROUND_ROBIN, best_node, gate_of, next_in_turn
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.policy import RuleFunction
from maestro_gym.state import Hidden, View

_NOTES = 32
"""First place of the cluster rules in ``view.memory``; they have 32."""


def make_routing_rule(routing: int) -> RuleFunction:
    """Cluster rule that takes the node of least cost under one of the ``ROUTE_*``.

    A cluster cannot decline: where no node is open under the routing's gate, any with room will do.
    """
    gate = GATE_CLUSTER if gate_of(routing) == GATE_FLEET else gate_of(routing)

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        stage, cluster = int(view.clock[e].stage), int(view.clock[e].cluster)
        if routing == ROUTE_ROUND_ROBIN:
            return next_in_turn(view, e, stage, cluster, _NOTES + cluster % 32)
        node = -1
        for limit in (gate, GATE_NONE):
            if node < 0:
                node = best_node(view, e, stage, cluster, routing, limit)
        return node

    return rule


def make_fitness_rule(scale: FitnessScale, normalise: bool) -> RuleFunction:
    """Cluster rule that takes Maestro's fittest node.

    Args:
        scale: frozen percentiles of the terms.
        normalise: False leaves the terms in raw time, as the variant beside Maestro.
    """
    # A plain tuple: numba then compiles the limits in as constants.
    a, b, c, d, f, g = (float(limit) for limit in scale)
    limits = (a, b, c, d, f, g)

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        stage, cluster = int(view.clock[e].stage), int(view.clock[e].cluster)
        node = -1
        for gate in (GATE_CLUSTER, GATE_NONE):
            if node < 0:
                node = fittest_node(view, e, stage, cluster, gate, normalise, limits)
        return node

    return rule
