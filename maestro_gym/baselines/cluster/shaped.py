"""The placement of the shaped family: Maestro's fitness less a sum of named costs.

A stage leaves the global queue for nodes that are not crowded only (`late_binding.holds`).
"""

from __future__ import annotations

import math

from maestro_gym.baselines.late_binding.displacement import displacement_node
from maestro_gym.baselines.late_binding.gates import asks_cold_nodes, is_expected, is_open, next_maybe
from maestro_gym.baselines.late_binding.holds import active_others, serves
from maestro_gym.baselines.maestro.fitness import normalised_fitness, raw_fitness_s, saved_s, terms_with_hit
from maestro_gym.baselines.shaped.numbers import (
    ALONE,
    COLD,
    FITNESS,
    HARM,
    KV_SHARE,
    LATENCY,
    OTHERS,
    OTHERS_IF_NEW,
    OWN_BATCH,
    PREFIX,
    READY,
    STAGES,
    WORK_WAIT,
)
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import prefix_hit_tokens
from maestro_gym.scheduling.fitness_scale import fitness_scale
from maestro_gym.scheduling.load_signals import stages_at, work_wait_s
from maestro_gym.scheduling.rules import HELD, Routing
from maestro_gym.scheduling.view import cluster_of, is_warm, model_of, number, slot_of, slot_running
from maestro_gym.state import View


@njit
def extra_cost(view: View, e: int, stage: int, node: int, hit_tokens: int, ready_s: float, harm_s: float) -> float:
    """The sum of the named costs of a node, beside its fitness."""
    model = model_of(view, e, stage)
    record = view.nodes[e, node]
    ingress = int(view.workflows[e, int(view.stages[e, stage].workflow)].ingress_cluster)
    prefix_s = saved_s(view, model, hit_tokens)
    others = active_others(view, e, node, model)
    slot = slot_of(view, e, node, model)
    own = slot_running(view, e, node, slot) if slot >= 0 else 0
    cost = number(view, e, WORK_WAIT) * work_wait_s(view, e, node)
    cost += number(view, e, READY) * ready_s + number(view, e, HARM) * harm_s + number(view, e, PREFIX) * prefix_s
    cost += number(view, e, LATENCY) * float(view.world.latency_s[ingress, cluster_of(view, node)])
    cost += number(view, e, STAGES) * stages_at(view, e, node) + number(view, e, OTHERS) * others
    cost += number(view, e, KV_SHARE) * float(record.kv_reserved_bytes) / max(1.0, float(record.kv_pool_bytes))
    cost += number(view, e, OWN_BATCH) * own
    if not is_warm(view, e, node, model):
        cost += number(view, e, COLD)
    if not serves(view, e, node, model):
        cost += number(view, e, OTHERS_IF_NEW) * others
    elif others == 0:
        cost += number(view, e, ALONE)
    return cost


@njit
def shaped_node(view: View, e: int, stage: int, cluster: int, gate: int) -> int:
    """Node with the largest fitness less cost among those that are open to a stage; arguments as `fittest_node`."""
    scale, expected = fitness_scale(view, e), is_expected(view, e, stage, gate)
    best, best_value, best_raw_s = -1, -math.inf, -math.inf
    model, cold = model_of(view, e, stage), asks_cold_nodes(view, e, stage, expected)
    node = -1
    while True:
        node = next_maybe(view, e, model, cluster, gate, cold, node)
        if node < 0:
            break
        if not is_open(view, e, stage, node, gate, expected):
            continue
        hit_tokens = prefix_hit_tokens(view, e, node, stage)
        a_s, ready_s, harm_s = terms_with_hit(view, e, stage, node, hit_tokens)
        raw_s = raw_fitness_s(a_s, ready_s, harm_s)
        value = number(view, e, FITNESS) * normalised_fitness(a_s, ready_s, harm_s, scale)
        value -= extra_cost(view, e, stage, node, hit_tokens, ready_s, harm_s)
        if value > best_value or (value == best_value and raw_s > best_raw_s):
            best, best_value, best_raw_s = node, value, raw_s
    return best if best >= 0 else displacement_node(view, e, stage, cluster, gate, expected)


RULE = Routing(
    node=shaped_node,
    gate=HELD,
    name="shaped",
    information="P",
    description="Maestro's fitness less a sum of named costs, to nodes that are not crowded",
    source="this project",
    choice="the terms; their weights are searched",
    rival=False,
)
