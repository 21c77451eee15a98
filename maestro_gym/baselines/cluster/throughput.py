"""AIBrix throughput (V): the engine that works off the fewest weighted tokens a second.

    cost = 2 * prompt tokens/s + output tokens/s        (a prompt token is taken to cost twice an output token)

Source: `throughput.go` of AIBrix' gateway plug-in. Class N. Adapted: the gauges of vLLM are averages of the last
seconds; here each running stage counts its prompt and what it has streamed, by the time since its admission. Streamed
tokens are as old as the node's last decision, as a gauge is as old as its scrape.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import model_of, now_s, number, slot_of, slot_running
from maestro_gym.state import View

NUMBERS = (Number("prompt_weight", "1", 0, 8, 2, "Cost of a prompt token beside an output token; 2 is AIBrix' own."),)
(PROMPT_WEIGHT,) = places(NUMBERS)

LEAST_TIME_S: Final = 1.0
"""Least time over which a rate is taken, so that a stage admitted just now has a finite one (modelling choice)."""


@njit
def weighted_tokens_per_s(view: View, e: int, node: int, slot: int) -> float:
    """Weighted tokens a second of the stages that an engine runs."""
    total = 0.0
    for i in range(slot_running(view, e, node, slot)):
        record = view.stages[e, view.batch[e, node, slot, i]]
        tokens = number(view, e, PROMPT_WEIGHT) * int(record.prompt_tokens) + int(record.generated_tokens)
        total += tokens / max(LEAST_TIME_S, now_s(view, e) - float(record.admitted_s))
    return total


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Weighted tokens a second of the engine of the stage's model, warm nodes first."""
    model = model_of(view, e, stage)
    slot = slot_of(view, e, node, model)
    return (weighted_tokens_per_s(view, e, node, slot) if slot >= 0 else 0.0) + cold_cost(view, e, node, model)


RULE = route_by(
    cost,
    numbers=NUMBERS,
    name="throughput",
    information="N",
    description="fewest weighted tokens a second: 2 * prompt + output",
    source="AIBrix throughput (V)",
    choice="rates over the stages that run, since their admission; warm nodes first",
)
