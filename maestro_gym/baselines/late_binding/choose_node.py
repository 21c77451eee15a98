"""The node of least cost among those that are open to a stage: the loop that all routings share.

A routing is a cost for each node (smaller is better, the lower id wins a tie). A cluster rule takes the best node of
its cluster; the global rule that goes with it takes the cluster of the best node of the fleet, so that the two tiers
pull in one direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from maestro_gym.baselines.late_binding.displacement import displacement_node
from maestro_gym.baselines.late_binding.gates import asks_cold_nodes, is_expected, is_open, next_maybe
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import is_warm, model_of
from maestro_gym.state import View

COLD_COST: Final = 1e9
"""Added to nodes of the second choice, above every cost of the first."""


@njit
def cold_cost(view: View, e: int, node: int, model: int) -> float:
    """Nothing where a model is warm, ``COLD_COST`` elsewhere: warm nodes come first."""
    return 0.0 if is_warm(view, e, node, model) else COLD_COST


@njit
def two_best_nodes(
    view: View, e: int, stage: int, cluster: int, cost: Callable[..., float], gate: int, expected: bool
) -> tuple[int, int]:
    """The nodes of least and of second least cost that are open to a stage, -1 where there is none."""
    best, second = -1, -1
    best_cost, second_cost = math.inf, math.inf
    model, cold = model_of(view, e, stage), asks_cold_nodes(view, e, stage, expected)
    node = -1
    while True:
        node = next_maybe(view, e, model, cluster, gate, cold, node)
        if node < 0:
            break
        if not is_open(view, e, stage, node, gate, expected):
            continue
        node_cost = cost(view, e, stage, node)
        if best < 0 or node_cost < best_cost:
            second, second_cost = best, best_cost
            best, best_cost = node, node_cost
        elif second < 0 or node_cost < second_cost:
            second, second_cost = node, node_cost
    return best, second


@njit
def best_node(view: View, e: int, stage: int, cluster: int, cost: Callable[..., float], gate: int) -> int:
    """Node of least cost among those that are open to a stage; where none is, the one that may displace others.

    Args:
        view: What a scheduler sees.
        e: Environment.
        stage: The stage to place.
        cluster: Only nodes of this cluster; -1 for the whole fleet.
        cost: Of a node, handed over by ``scheduling.rules.as_cost``.
        gate: One of ``gates.GATE_*``.

    Returns:
        A node id, -1 when none is open.
    """
    expected = is_expected(view, e, stage, gate)
    best, _ = two_best_nodes(view, e, stage, cluster, cost, gate, expected)
    return best if best >= 0 else displacement_node(view, e, stage, cluster, gate, expected)
