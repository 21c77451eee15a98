"""GoodServe's just-enough selection (V abstract): the slowest node that still makes the deadline.

    latency(node) = queue wait + T_ready + prefill on that GPU + output * decode step on that GPU
    among nodes with  latency <= deadline - now - T_future - margin:  the largest latency;  where none is: the least

Source: GoodServe, arXiv 2605.16867: routing by predicted output length and GPU state to the instance that is just
enough, so that fast GPUs stay free for those who need them. Class P: it reads predicted lengths, T_future and work.
Adapted (I): the time of a stage is what its workflow's deadline leaves after T_future; speeds are those of the profiled
step at the batch as the stage would find it, times the engines that share the GPU; cold nodes come after warm ones.
Moving requests at risk to another GPU has no decision (docs/baselines.md, "Not applicable").
"""

from __future__ import annotations

from typing import Final

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.baselines.late_binding.holds import active_others
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import prefix_hit_tokens, ready_time_s
from maestro_gym.scheduling.load_signals import queue_wait_s
from maestro_gym.scheduling.node_speed import context_tokens, decode_step_s, prefill_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import model_of, now_s, number, prompt_tokens, slot_of, slot_running, workflow_of
from maestro_gym.state import View

NUMBERS = (Number("margin", "s", -30, 60, 0, "Time that must be left over for a node to count as fast enough."),)
(MARGIN,) = places(NUMBERS)

TOO_LATE_COST: Final = 1e6
"""Added to nodes that do not make the deadline: above every latency, below what a cold node costs."""


@njit
def latency_s(view: View, e: int, stage: int, node: int) -> float:
    """Predicted time of a stage on a node, from now to its last token [s]."""
    model = model_of(view, e, stage)
    slot = slot_of(view, e, node, model)
    running = slot_running(view, e, node, slot) if slot >= 0 else 0
    prompt = prompt_tokens(view, e, stage)
    kv_tokens = prompt + (context_tokens(view, e, node, slot) if slot >= 0 else 0.0)
    step_s = decode_step_s(view, node, model, running + 1, kv_tokens)
    service_s = prefill_s(view, node, model, prompt - float(prefix_hit_tokens(view, e, node, stage)))
    service_s += float(view.stages[e, stage].output_q50_tokens) * step_s
    service_s *= 1.0 + active_others(view, e, node, model)
    return queue_wait_s(view, e, node) + float(ready_time_s(view, e, node, model)) + service_s


@njit
def time_left_s(view: View, e: int, stage: int) -> float:
    """What the workflow's deadline leaves for a stage [s]; negative when it is too late."""
    deadline_s = float(view.workflows[e, workflow_of(view, e, stage)].deadline_s)
    return deadline_s - now_s(view, e) - float(view.stages[e, stage].future_s_q50)


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Minus the latency where it is short enough, the latency where it is not; warm nodes first."""
    cold = cold_cost(view, e, node, model_of(view, e, stage))
    needed_s = latency_s(view, e, stage, node)
    if needed_s <= time_left_s(view, e, stage) - number(view, e, MARGIN):
        return cold - needed_s
    return cold + TOO_LATE_COST + needed_s


RULE = route_by(
    cost,
    numbers=NUMBERS,
    name="goodserve",
    information="P",
    description="the slowest node that still makes the deadline, else the fastest",
    source="GoodServe, arXiv 2605.16867 (V abstract)",
    choice="latency by the node's profiled step, queue and T_ready (I); no migration",
)
