"""Choice of a node for a stage, among the nodes of one cluster or of the fleet.

Every routing is a cost a node (smaller is better, the lower id wins a tie). A cluster rule takes
the best node of its cluster; the global rule that goes with it takes the cluster of the best node
of the fleet, so that the two tiers pull in one direction.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.baselines.displacement import displacement_node
from maestro_gym.baselines.gates import GATE_FLEET, GATE_HOME, GATE_NONE, is_expected, is_open, is_warm
from maestro_gym.core.compile import njit
from maestro_gym.core.hashing import RULE, uniform
from maestro_gym.scheduling.estimates import prefix_hit_tokens, queue_wait_s, ready_time_s
from maestro_gym.scheduling.legal import can_route
from maestro_gym.scheduling.sizes import kv_bytes
from maestro_gym.state import BLOCK_TOKENS, View

(
    ROUTE_RANDOM,
    ROUTE_ROUND_ROBIN,
    ROUTE_JSQ,
    ROUTE_WARM_JSQ,
    ROUTE_POWER_OF_TWO,
    ROUTE_LEAST_KV,
    ROUTE_AFFINITY,
    ROUTE_PINNED,
    ROUTE_FREENESS,
    ROUTE_START_TIME,
    ROUTE_LLM_D,
    ROUTE_DYNAMO,
) = range(12)

_OBLIVIOUS = (ROUTE_RANDOM, ROUTE_ROUND_ROBIN, ROUTE_JSQ)


def gate_of(routing: int) -> int:
    """The gate of the global tier that goes with a routing; the oblivious ones do not look at residency."""
    if routing == ROUTE_PINNED:
        return GATE_HOME
    return GATE_NONE if routing in _OBLIVIOUS else GATE_FLEET


_DRAW: Final = RULE + 1

COLD_COST: Final = 1e9
"""Added to nodes of the second choice, above every cost of the first."""


@njit
def stages_at(view: View, e: int, node: int) -> int:
    """Stages that a node has to serve: waiting, on the way, admitted."""
    record = view.nodes[e, node]
    return int(record.queue_len) + int(record.inbound) + int(record.running)


@njit
def kv_used_share(view: View, e: int, node: int) -> float:
    """Share of the KV pool that is mapped and referenced; cached blocks count as free, as in vLLM's gauge."""
    record = view.nodes[e, node]
    pool = float(record.kv_pool_bytes)
    if pool <= 0.0:
        return 1.0
    return max(0.0, float(record.kv_used_bytes) - float(record.kv_cached_bytes)) / pool


@njit
def freeness(view: View, e: int, node: int) -> float:
    """Llumnix' load measure: (free KV - KV wanted by the waiting) / requests, here in bytes a request."""
    record = view.nodes[e, node]
    wanted = 0.0
    for q in range(int(record.queue_len)):
        stage = int(view.node_queue[e, node, q])
        tokens = float(view.stages[e, stage].prompt_tokens)
        wanted += tokens * kv_bytes(view, node, int(view.stages[e, stage].model))
    free = float(record.kv_pool_bytes) - float(record.kv_used_bytes) + float(record.kv_cached_bytes)
    return (free - wanted) / max(1, stages_at(view, e, node))


@njit
def node_cost(view: View, e: int, stage: int, node: int, routing: int) -> float:
    """Cost of a node for a stage under one of the routings that need no memory of their own."""
    record = view.stages[e, stage]
    model = int(record.model)
    if routing in (ROUTE_JSQ, ROUTE_PINNED):
        return float(stages_at(view, e, node))
    if routing == ROUTE_WARM_JSQ:
        return stages_at(view, e, node) + (0.0 if is_warm(view, e, node, model) else COLD_COST)
    if routing == ROUTE_LEAST_KV:
        return kv_used_share(view, e, node) + (0.0 if is_warm(view, e, node, model) else COLD_COST)
    if routing == ROUTE_AFFINITY:
        if not is_warm(view, e, node, model):
            return stages_at(view, e, node) + COLD_COST
        at_home = int(view.workflows[e, int(record.workflow)].last_node) == node
        return -1.0 if at_home else float(stages_at(view, e, node))
    if routing == ROUTE_FREENESS:
        return -freeness(view, e, node) + (0.0 if is_warm(view, e, node, model) else 1e6 * COLD_COST)
    if routing == ROUTE_START_TIME:
        return queue_wait_s(view, e, node) + float(ready_time_s(view, e, node, model))
    if routing == ROUTE_LLM_D:
        prefix = float(prefix_hit_tokens(view, e, node, stage)) / max(1.0, float(record.prompt_tokens))
        waiting = int(view.nodes[e, node].queue_len) + int(view.nodes[e, node].inbound)
        score = 3.0 * prefix + 2.0 * (1.0 - kv_used_share(view, e, node)) + 2.0 / (1.0 + waiting)
        return -score + (0.0 if is_warm(view, e, node, model) else COLD_COST)
    if routing == ROUTE_DYNAMO:
        compute = float(record.prompt_tokens) - float(prefix_hit_tokens(view, e, node, stage))
        active_bytes = float(view.nodes[e, node].kv_used_bytes) - float(view.nodes[e, node].kv_cached_bytes)
        blocks = (compute + active_bytes / kv_bytes(view, node, model)) / BLOCK_TOKENS
        return blocks + (0.0 if is_warm(view, e, node, model) else COLD_COST)
    # ROUTE_RANDOM, and the first draw of ROUTE_POWER_OF_TWO, whose second look is at queues.
    cold = routing == ROUTE_POWER_OF_TWO and not is_warm(view, e, node, model)
    entity = int(view.clock[e].decisions) * view.nodes.shape[1] + node
    return uniform(int(view.clock[e].key), _DRAW, entity) + (1.0 if cold else 0.0)


@njit
def best_node(view: View, e: int, stage: int, cluster: int, routing: int, gate: int) -> int:
    """Node of least cost among those that are open to a stage.

    Args:
        view: what a scheduler sees.
        e: environment.
        stage: the stage to place.
        cluster: only nodes of this cluster; -1 for the whole fleet.
        routing: one of ``ROUTE_*`` but ``ROUTE_ROUND_ROBIN``, which is ``next_in_turn``.
        gate: one of ``gates.GATE_*``.

    Returns:
        A node id, -1 when none is open.
    """
    expected = is_expected(view, e, stage, gate)
    best, second = -1, -1
    best_cost, second_cost = math.inf, math.inf
    for node in range(view.world.nodes.shape[0]):
        if cluster >= 0 and int(view.world.nodes[node].cluster) != cluster:
            continue
        if not is_open(view, e, stage, node, gate, expected):
            continue
        cost = node_cost(view, e, stage, node, routing)
        if best < 0 or cost < best_cost:
            second, second_cost = best, best_cost
            best, best_cost = node, cost
        elif second < 0 or cost < second_cost:
            second, second_cost = node, cost
    if routing == ROUTE_POWER_OF_TWO and second >= 0 and stages_at(view, e, second) < stages_at(view, e, best):
        model = int(view.stages[e, stage].model)
        if is_warm(view, e, second, model) or not is_warm(view, e, best, model):
            return second
    return best if best >= 0 else displacement_node(view, e, stage, cluster, gate, expected)


@njit
def next_in_turn(view: View, e: int, stage: int, cluster: int, note: int) -> int:
    """Next routable node of a cluster after the one in the policy's note, which moves on to it.

    The note holds one more than the last node, so that a fresh episode begins with the first.
    """
    num_nodes = view.world.nodes.shape[0]
    start = int(view.memory[e, note])
    for step in range(num_nodes):
        node = (start + step) % num_nodes
        if int(view.world.nodes[node].cluster) == cluster and can_route(view, e, stage, node):
            view.memory[e, note] = float(node + 1)
            return node
    return -1
