"""AIBrix prefix-cache (V): the longest cached prefix, unless its holder is much busier than the others.

Of the pods of the model, with r requests each, mean m and standard deviation s:

    imbalanced = max r > 2 (m + 1)  and  max r - min r >= 8;  then only pods with r = min r may match
    the pod with the longest match, of equal ones the one with fewer requests, among those with r <= m + 1 s
    nobody matches: the fewest requests

Source: `prefix_cache.go` of AIBrix' gateway plug-in and its default thresholds. Class N. Adapted: pods are the warm
nodes that are open to the stage; the match is what the engine has cached, where AIBrix asks an index of what it sent.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.cluster.least_request import cost as least_request
from maestro_gym.baselines.cluster.least_request import requests_of
from maestro_gym.baselines.late_binding.choose_node import best_node
from maestro_gym.baselines.late_binding.gates import is_expected, is_open, next_maybe
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import prefix_hit_tokens
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import Routing, as_cost
from maestro_gym.scheduling.view import is_warm, model_of, number
from maestro_gym.state import View

NUMBERS = (
    Number("deviations", "1", 0, 4, 1, "Standard deviations above the mean that the holder of a match may have."),
    Number("imbalance_factor", "1", 1, 8, 2, "Imbalance: the busiest has more than this times the mean and one."),
    Number("imbalance_gap", "requests", 1, 64, 8, "Imbalance: the busiest has as many requests more than the idlest."),
)
"""The defaults are AIBrix'."""

DEVIATIONS, IMBALANCE_FACTOR, IMBALANCE_GAP = places(NUMBERS)


@njit
def next_pod(view: View, e: int, stage: int, cluster: int, gate: int, expected: bool, node: int) -> int:
    """The warm node after ``node`` that is open to a stage, -1 when there is none; arguments as `best_node`."""
    model = model_of(view, e, stage)
    node = next_maybe(view, e, model, cluster, gate, False, node)
    while node >= 0:
        if is_warm(view, e, node, model) and is_open(view, e, stage, node, gate, expected):
            return node
        node = next_maybe(view, e, model, cluster, gate, False, node)
    return -1


@njit
def prefix_node(view: View, e: int, stage: int, cluster: int, gate: int) -> int:
    """The node whose cache serves most of a stage and that is not much busier than the others, else the idlest."""
    expected, model = is_expected(view, e, stage, gate), model_of(view, e, stage)
    pods, total, squares, least, most = 0, 0, 0, 1 << 30, 0
    node = next_pod(view, e, stage, cluster, gate, expected, -1)
    while node >= 0:
        requests = requests_of(view, e, node, model)
        pods, total, squares = pods + 1, total + requests, squares + requests * requests
        least, most = min(least, requests), max(most, requests)
        node = next_pod(view, e, stage, cluster, gate, expected, node)
    best, best_hit, best_requests = -1, 0, 0
    if pods > 0:
        mean = total / pods
        allowed = mean + number(view, e, DEVIATIONS) * math.sqrt(max(0.0, squares / pods - mean * mean))
        factor, gap = number(view, e, IMBALANCE_FACTOR), number(view, e, IMBALANCE_GAP)
        if most > factor * (mean + 1.0) and most - least >= gap:
            allowed = float(least)
        node = next_pod(view, e, stage, cluster, gate, expected, -1)
        while node >= 0:
            requests, hit = requests_of(view, e, node, model), prefix_hit_tokens(view, e, node, stage)
            # The mean is rounded, and equal pods are not busier than themselves.
            if requests <= allowed + 1e-9 and (hit > best_hit or (hit == best_hit > 0 and requests < best_requests)):
                best, best_hit, best_requests = node, hit, requests
            node = next_pod(view, e, stage, cluster, gate, expected, node)
    return best if best >= 0 else best_node(view, e, stage, cluster, as_cost(least_request), gate)


RULE = Routing(
    node=prefix_node,
    numbers=NUMBERS,
    name="prefix-cache",
    information="N",
    description="longest cached prefix, unless its holder is busier than the mean and a deviation; else least-request",
    source="AIBrix prefix-cache (V)",
    choice="the match is what the engine holds; pods are the warm nodes that are open to the stage",
)
