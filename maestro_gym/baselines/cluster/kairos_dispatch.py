"""Kairos' dispatcher (V abstract): where predicted KV demand over the next time slots stays lowest.

    peak(node) = max over slots t of  sum of KV of the stages that still run at t, the new one included,  / KV pool

Source: Kairos, arXiv 2508.06948: memory-aware dispatch by predicted KV need over time slots, so that no instance
overflows; the exact formula was not found (V-2nd). Class P: it reads predicted output lengths. Adapted (I): slots of
equal length, a stage grows by a token each nominal decode time and gives all back at its predicted end; what waits at
the node counts as if it started now. Its order of agents is an order's, see `orders/`.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.sizes import kv_bytes
from maestro_gym.scheduling.view import (
    model_of,
    now_s,
    num_queued,
    num_slots,
    number,
    prompt_tokens,
    queued_stage,
    slot_running,
)
from maestro_gym.state import View

SLOTS: Final = 8
"""Time slots that are looked ahead (modelling choice)."""

NUMBERS = (
    Number("slot", "s", 0.25, 30, 4, "Length of a time slot; eight of the default reach over most single calls."),
)
(SLOT,) = places(NUMBERS)


@njit
def kv_then_bytes(view: View, e: int, node: int, stage: int, age_s: float) -> float:
    """KV bytes of a stage at an age since its admission [s], 0 once it is predicted to have finished."""
    model = model_of(view, e, stage)
    service = view.world.service[model]
    prompt, output = prompt_tokens(view, e, stage), float(view.stages[e, stage].output_q50_tokens)
    prefill_s = float(service.prefill_base_s) + float(service.prefill_s_per_token) * prompt
    decoded = max(0.0, age_s - prefill_s) / max(1e-9, float(service.decode_s_per_token))
    if decoded > output:
        return 0.0
    return (prompt + decoded) * kv_bytes(view, node, model)


@njit
def peak_share(view: View, e: int, node: int, stage: int) -> float:
    """Largest share of a node's KV pool that is predicted to be in use in any slot if a stage joins it."""
    peak = 0.0
    for k in range(SLOTS):
        ahead_s = k * number(view, e, SLOT)
        total = kv_then_bytes(view, e, node, stage, ahead_s)
        for slot in range(num_slots(view)):
            for i in range(slot_running(view, e, node, slot)):
                other = int(view.batch[e, node, slot, i])
                age_s = now_s(view, e) - float(view.stages[e, other].admitted_s)
                total += kv_then_bytes(view, e, node, other, age_s + ahead_s)
        for position in range(num_queued(view, e, node)):
            total += kv_then_bytes(view, e, node, queued_stage(view, e, node, position), ahead_s)
        peak = max(peak, total)
    return peak / max(1.0, float(view.nodes[e, node].kv_pool_bytes))


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Predicted peak share of the KV pool, warm nodes first."""
    return peak_share(view, e, node, stage) + cold_cost(view, e, node, model_of(view, e, stage))


RULE = route_by(
    cost,
    numbers=NUMBERS,
    name="kairos-dispatch",
    information="P",
    description="lowest predicted peak of KV demand over the next time slots",
    source="Kairos dispatcher (V abstract, V-2nd)",
    choice="eight slots of 4 s (I); KV grows at the nominal decode speed; warm nodes first",
)
