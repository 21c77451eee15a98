"""Maestro's node fitness S(N,T) = A(N,T) - lambda * T_ready(N,T) - mu * C_deg(N,T) (F1).

A = -(network + queue wait) + prefix locality, all in seconds (F4, the split is a modelling choice).
The terms are normalised by robust min-max: clipped to the 5th and 95th percentile of a validation
run that are *frozen* (F2), never taken from the present candidates: with two candidates 5 ms of
network would otherwise weigh as much as a cold start of 40 s.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.baselines.late_binding.displacement import displacement_node
from maestro_gym.baselines.late_binding.gates import asks_cold_nodes, is_expected, is_open, may_be_open
from maestro_gym.core.bits import first_of, lowest
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import prefix_hit_tokens, ready_time_s, reclaim_harm_s
from maestro_gym.scheduling.fitness_scale import fitness_scale
from maestro_gym.scheduling.load_signals import work_wait_s
from maestro_gym.scheduling.sets import cluster_nodes, num_words
from maestro_gym.scheduling.sizes import most_usable_tokens
from maestro_gym.scheduling.view import cluster_of, model_of
from maestro_gym.state import INTERACTIVE, View

LAMBDA: Final = 1.0
"""Weight of T_ready (F2)."""

MU: Final = 1.0
"""Weight of C_deg (F2)."""

INTERACTIVE_NETWORK_WEIGHT: Final = 2.0
"""Weight of the network for interactive stages; F2 says "increased", the factor is a modelling choice."""


@njit
def saved_s(view: View, model: int, hit_tokens: int) -> float:
    """Prefill time that a prefix hit saves."""
    return float(hit_tokens) * float(view.world.service[model].prefill_s_per_token)


@njit
def benefit_s(view: View, e: int, stage: int, node: int, hit_tokens: int) -> float:
    """A(N,T): prefill time that a prefix hit saves, minus network there and back and queue wait."""
    record = view.stages[e, stage]
    ingress = int(view.workflows[e, int(record.workflow)].ingress_cluster)
    network_s = 2.0 * float(view.world.latency_s[ingress, cluster_of(view, node)])
    if int(record.cls) == INTERACTIVE:
        network_s *= INTERACTIVE_NETWORK_WEIGHT
    return saved_s(view, int(record.model), hit_tokens) - network_s - work_wait_s(view, e, node)


@njit
def fitness_terms(view: View, e: int, stage: int, node: int) -> tuple[float, float, float]:
    """A, T_ready and C_deg of a node for a stage, seconds."""
    return terms_with_hit(view, e, stage, node, prefix_hit_tokens(view, e, node, stage))


@njit
def terms_with_hit(view: View, e: int, stage: int, node: int, hit_tokens: int) -> tuple[float, float, float]:
    """`fitness_terms` where the prompt tokens that the node holds are known already."""
    return (
        benefit_s(view, e, stage, node, hit_tokens),
        ready_time_s(view, e, node, model_of(view, e, stage)),
        reclaim_harm_s(view, e, node, stage),
    )


@njit
def normalised(value_s: float, low_s: float, high_s: float) -> float:
    """Robust min-max: 0 at the low percentile, 1 at the high one, clipped; 0 where they coincide."""
    if high_s <= low_s:
        return 0.0
    return min(1.0, max(0.0, (value_s - low_s) / (high_s - low_s)))


@njit
def raw_fitness_s(a_s: float, ready_s: float, harm_s: float) -> float:
    """The terms of `fitness_terms` added up, seconds."""
    return a_s - LAMBDA * ready_s - MU * harm_s


@njit
def normalised_fitness(
    a_s: float, ready_s: float, harm_s: float, scale: tuple[float, float, float, float, float, float]
) -> float:
    """The terms of `fitness_terms`, each normalised by its percentiles, added up (F2)."""
    fitness = normalised(a_s, scale[0], scale[1])
    fitness -= LAMBDA * normalised(ready_s, scale[2], scale[3])
    return fitness - MU * normalised(harm_s, scale[4], scale[5])


@njit
def fitness_of(
    terms_s: tuple[float, float, float], normalise: bool, scale: tuple[float, float, float, float, float, float]
) -> float:
    """The fitness of the terms of `fitness_terms`, normalised or in seconds."""
    a_s, ready_s, harm_s = terms_s
    return normalised_fitness(a_s, ready_s, harm_s, scale) if normalise else raw_fitness_s(a_s, ready_s, harm_s)


@njit
def is_fitter(
    terms_s: tuple[float, float, float],
    best: tuple[float, float],
    normalise: bool,
    scale: tuple[float, float, float, float, float, float],
) -> bool:
    """Whether the terms of a node make it fitter than the best so far: by fitness, then by the raw sum of seconds."""
    fitness, raw_s = fitness_of(terms_s, normalise, scale), raw_fitness_s(terms_s[0], terms_s[1], terms_s[2])
    return fitness > best[0] or (fitness == best[0] and raw_s > best[1])


@njit
def fittest_node(
    view: View,
    e: int,
    stage: int,
    cluster: int,
    gate: int,
    normalise: bool,
    scale: tuple[float, float, float, float, float, float],
) -> int:
    """Node with the largest fitness among those that are open to the stage.

    Nodes that cannot take it safely are dropped first (F3). Equal fitness, as when both terms are
    clipped, falls to the raw sum of seconds, then to the lower id.

    Args:
        view: What a scheduler sees.
        e: Environment.
        stage: The stage to place.
        cluster: Only nodes of this cluster; -1 for the whole fleet.
        gate: One of ``gates.GATE_*``.
        normalise: False adds the raw terms.
        scale: From `fitness_scale`.

    Returns:
        A node id, -1 when no node is open.
    """
    expected = is_expected(view, e, stage, gate)
    fittest, best = -1, (-math.inf, -math.inf)
    model, cold = model_of(view, e, stage), asks_cold_nodes(view, e, stage, expected)
    most_hit = most_usable_tokens(view, e, stage)
    for word in range(num_words(view)):
        nodes = may_be_open(view, e, model, gate, cold, word) & cluster_nodes(view, e, cluster, word)
        while nodes != 0:
            node = first_of(word) + lowest(nodes)
            nodes &= nodes - 1
            # Serving at once, without harm and with all that can be shared in its cache it is no fitter than this, and
            # most nodes need no closer look; the next bound knows when it can serve.
            a_s = benefit_s(view, e, stage, node, most_hit)
            if not is_fitter((a_s, 0.0, 0.0), best, normalise, scale):
                continue
            if not is_fitter((a_s, ready_time_s(view, e, node, model), 0.0), best, normalise, scale):
                continue
            if not is_open(view, e, stage, node, gate, expected):
                continue
            terms_s = fitness_terms(view, e, stage, node)
            if is_fitter(terms_s, best, normalise, scale):
                fittest = node
                best = fitness_of(terms_s, normalise, scale), raw_fitness_s(terms_s[0], terms_s[1], terms_s[2])
    return fittest if fittest >= 0 else displacement_node(view, e, stage, cluster, gate, expected)


@njit
def fittest_normalised(view: View, e: int, stage: int, cluster: int, gate: int) -> int:
    """The fittest node, terms normalised by the frozen percentiles of a scenario (F2)."""
    return fittest_node(view, e, stage, cluster, gate, True, fitness_scale(view, e))


@njit
def fittest_raw(view: View, e: int, stage: int, cluster: int, gate: int) -> int:
    """The fittest node, terms in raw time."""
    return fittest_node(view, e, stage, cluster, gate, False, fitness_scale(view, e))
