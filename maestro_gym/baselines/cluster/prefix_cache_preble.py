"""AIBrix prefix-cache-preble (V), after Preble: the holder of most of the prompt if it is most, else the least cost.

    match / prompt > threshold: of the pods with the longest match the one with the fewest requests
    else: least  sum over its requests of  prefill of what no cache served + 45 tokens * time a token

Source: `prefix_cache_preble.go` of AIBrix' gateway plug-in and its defaults. Class N. Adapted: there the requests are
those sent in the last three minutes, here those that are with the engine; times are those of the profiled step and not
fits to an A6000 or a V100; pods are the warm nodes that are open to the stage, and where none is, late binding's choice
by the same cost.
"""

from __future__ import annotations

from maestro_gym.baselines.cluster.least_request import requests_of
from maestro_gym.baselines.cluster.prefix_cache import next_pod
from maestro_gym.baselines.late_binding.choose_node import best_node, cold_cost
from maestro_gym.baselines.late_binding.gates import is_expected
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import prefix_hit_tokens
from maestro_gym.scheduling.node_speed import context_tokens, decode_step_s, prefill_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import Routing, as_cost
from maestro_gym.scheduling.view import (
    model_of,
    num_queued,
    number,
    prompt_tokens,
    queued_stage,
    slot_of,
    slot_running,
)
from maestro_gym.state import View

NUMBERS = (
    Number("threshold", "1", 0, 1, 0.5, "Share of the prompt that must be cached for a stage to follow its prefix."),
    Number("output_tokens", "tokens", 0, 2000, 45, "Output that a request is taken to have."),
)
"""The defaults are AIBrix'."""

THRESHOLD, OUTPUT_TOKENS = places(NUMBERS)


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Seconds of work of the requests that the engine of a stage's model has at a node, cold nodes last."""
    model = model_of(view, e, stage)
    slot = slot_of(view, e, node, model)
    if slot < 0:
        return cold_cost(view, e, node, model)
    running = slot_running(view, e, node, slot)
    token_s = decode_step_s(view, node, model, running, context_tokens(view, e, node, slot))
    total_s = 0.0
    for i in range(running):
        record = view.stages[e, view.batch[e, node, slot, i]]
        missed = float(record.prompt_tokens) - float(record.prefix_hit_tokens)
        total_s += prefill_s(view, node, model, missed) + number(view, e, OUTPUT_TOKENS) * token_s
    for position in range(num_queued(view, e, node)):
        waiting = queued_stage(view, e, node, position)
        if model_of(view, e, waiting) == model:
            missed = prompt_tokens(view, e, waiting) - float(prefix_hit_tokens(view, e, node, waiting))
            total_s += prefill_s(view, node, model, missed) + number(view, e, OUTPUT_TOKENS) * token_s
    return total_s + cold_cost(view, e, node, model)


@njit
def follow_or_spread(view: View, e: int, stage: int, cluster: int, gate: int) -> int:
    """Exploit a long match, else explore by cost; arguments as `best_node`."""
    expected, model = is_expected(view, e, stage, gate), model_of(view, e, stage)
    best, best_hit, best_requests = -1, 0, 0
    node = next_pod(view, e, stage, cluster, gate, expected, -1)
    while node >= 0:
        hit, requests = prefix_hit_tokens(view, e, node, stage), requests_of(view, e, node, model)
        if hit > best_hit or (hit == best_hit > 0 and requests < best_requests):
            best, best_hit, best_requests = node, hit, requests
        node = next_pod(view, e, stage, cluster, gate, expected, node)
    if best >= 0 and best_hit > number(view, e, THRESHOLD) * prompt_tokens(view, e, stage):
        return best
    return best_node(view, e, stage, cluster, as_cost(cost), gate)


RULE = Routing(
    node=follow_or_spread,
    numbers=NUMBERS,
    name="prefix-cache-preble",
    information="N",
    description="the longest match if it covers more than half of the prompt, else the least work",
    source="AIBrix prefix-cache-preble (V), after Preble",
    choice="work of the requests that are with the engine; times of the profiled step",
)
