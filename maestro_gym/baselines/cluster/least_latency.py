"""AIBrix least-latency (V): the engine with the least expected latency, from what its requests took.

    cost = mean queue time + mean prefill time a prompt token * prompt + decode time a token * 100

Source: `least_latency.go` of AIBrix' gateway plug-in, which takes the means of vLLM's histograms and, where nothing is
known of output lengths, 100 tokens. Class N. Adapted: means are over the stages that the engine runs, not over its
whole past; the decode time is that of the profiled step at the batch as the stage would find it; an engine with nothing
to measure costs its decode alone, as an empty histogram does there. The prompt is the stage's own.
"""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import COLD_COST
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.node_speed import context_tokens, decode_step_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import is_warm, model_of, now_s, number, prompt_tokens, slot_of, slot_running
from maestro_gym.state import View

NUMBERS = (
    Number(
        "output_tokens",
        "tokens",
        0,
        2000,
        100,
        "Output a request is taken to have; 100 is AIBrix' own.",
    ),
)
(OUTPUT_TOKENS,) = places(NUMBERS)


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Expected latency [s] of a stage on the engine of its model, warm nodes first."""
    model = model_of(view, e, stage)
    if not is_warm(view, e, node, model):
        return COLD_COST
    slot = slot_of(view, e, node, model)
    running, started = slot_running(view, e, node, slot), 0
    queue_s, prefill_s_per_token = 0.0, 0.0
    kv_tokens = prompt_tokens(view, e, stage) + context_tokens(view, e, node, slot)
    for i in range(running):
        record = view.stages[e, view.batch[e, node, slot, i]]
        prompt = max(1.0, float(record.prompt_tokens))
        queue_s += float(record.admitted_s) - float(record.queued_s)
        if float(record.admitted_s) <= float(record.first_token_s) <= now_s(view, e):
            started += 1
            prefill_s_per_token += (float(record.first_token_s) - float(record.admitted_s)) / prompt
    latency_s = queue_s / max(1, running) + prefill_s_per_token / max(1, started) * prompt_tokens(view, e, stage)
    return latency_s + number(view, e, OUTPUT_TOKENS) * decode_step_s(view, node, model, running + 1, kv_tokens)


RULE = route_by(
    cost,
    numbers=NUMBERS,
    name="least-latency",
    information="N",
    description="least expected latency: queue, prefill and decode times as measured on the engine",
    source="AIBrix least-latency (V)",
    choice="means over the stages that run; decode from the profiled step; warm nodes first",
)
