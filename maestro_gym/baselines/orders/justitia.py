"""Justitia: agents in order of their virtual finish under fair sharing (2510.17015; abstract V, cost V-2nd).

    c = sum over the calls of the workflow of p * d + d**2 / 2  (KV token-time: p prompt, d answer)
    key = arrival + share * c

Under fair sharing every workflow gets the same part of the KV pool, so it would finish when its cost is served at that
rate; the first to finish so is served at full speed first. What is done counts as it was, what is left as predicted:
later calls are taken as alike.

Adapted: virtual time runs at a steady rate, ``share``, where Justitia's slows with the number of active agents; it
would need a note for each workflow.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.history import kv_token_time, spent_kv_token_time
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import number, prompt_tokens, workflow_of
from maestro_gym.state import Hidden, View

NUMBERS = (
    Number(
        "share", "s/Mtoken/step", 0, 200, 10, "Time in which a fair share serves a million tokens of KV for a step."
    ),
)
(SHARE,) = places(NUMBERS)

_MILLION: Final = 1e6


@njit
def cost(view: View, e: int, stage: int) -> float:
    """KV token-time of a stage's workflow: of its finished calls, of this one and of those to come [tokens * steps]."""
    record = view.stages[e, stage]
    own = kv_token_time(prompt_tokens(view, e, stage), float(record.output_q50_tokens))
    calls = max(1.0, float(record.remaining_calls))
    inputs, outputs = float(record.remaining_input_tokens) / calls, float(record.remaining_output_tokens) / calls
    return spent_kv_token_time(view, e, stage) + own + calls * kv_token_time(inputs, outputs)


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Virtual finish [s]."""
    arrival_s = float(view.workflows[e, workflow_of(view, e, stage)].arrival_s)
    return arrival_s + number(view, e, SHARE) * cost(view, e, stage) / _MILLION


RULE = order_by(
    key,
    slope=keeps,
    numbers=NUMBERS,
    name="justitia",
    information="P",
    description="least virtual finish: arrival + predicted KV token-time of the workflow at a fair share",
    source="Justitia, arXiv 2510.17015 (cost V-2nd)",
    choice="virtual time at a steady rate: 100,000 tokens of KV a second, a call of 2,500 tokens at 40 steps a second",
)
