"""GoodServe's just-enough selection (V abstract): the slowest node that still makes the deadline.

    latency(node) = queue wait + T_ready + (prefill + output * decode step on that GPU) * engines that share it
    among nodes with  latency <= share * (deadline - now) * T_current / T_rem:  the slowest GPU, then the least latency
    where there is none: the least latency

Source: GoodServe, arXiv 2605.16867: routing by predicted output length and GPU state to the instance that is just
enough, so that fast GPUs stay free for those who need them. Class P: it reads predicted lengths, times and work.
Adapted (I): their deadline is a request's, so the time of a stage is its part, by predicted work, of what its workflow
has left; speeds are those of the profiled step, for the latency at the batch as the stage would find it, for the order
of GPUs at the nominal batch; cold nodes come after warm ones. Moving requests at risk to another GPU has no decision
(docs/baselines.md, "Not applicable").
"""

from __future__ import annotations

from typing import Final

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.baselines.late_binding.holds import active_others
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import prefix_hit_tokens, ready_time_s
from maestro_gym.scheduling.load_signals import NOMINAL_BATCH, queue_wait_s
from maestro_gym.scheduling.node_speed import context_tokens, decode_step_s, prefill_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import model_of, now_s, number, prompt_tokens, slot_of, slot_running, workflow_of
from maestro_gym.state import View

NUMBERS = (
    Number("share", "1", 0.02, 2, 1, "Share of a stage's time that its latency may take on a node fast enough."),
)
(SHARE,) = places(NUMBERS)

TOO_LATE_COST: Final = 1e8
"""Added to nodes that do not make the deadline: above what any other warm node costs, below a cold one."""

SPEED_WEIGHT: Final = 1e4
"""Weight of the speed of a GPU against the latency: above every difference of latencies between GPUs of a kind."""


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
def nominal_s(view: View, e: int, stage: int, node: int) -> float:
    """Time of a stage on the GPU of a node at the nominal batch, whatever runs there [s]: the same for a kind."""
    model, prompt, batch = model_of(view, e, stage), prompt_tokens(view, e, stage), int(NOMINAL_BATCH)
    step_s = decode_step_s(view, node, model, batch, prompt * batch)
    return prefill_s(view, node, model, prompt) + float(view.stages[e, stage].output_q50_tokens) * step_s


@njit
def time_left_s(view: View, e: int, stage: int) -> float:
    """A stage's part of the time to its workflow's deadline, by predicted work [s]; negative when it is too late."""
    record = view.stages[e, stage]
    left_s = float(view.workflows[e, workflow_of(view, e, stage)].deadline_s) - now_s(view, e)
    remaining_s = float(record.remaining_s_q50)
    if left_s <= 0.0 or remaining_s <= 0.0:
        return left_s
    return left_s * max(0.0, remaining_s - float(record.future_s_q50)) / remaining_s


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Slower GPUs first where the latency is short enough, by latency otherwise; warm nodes first."""
    cold = cold_cost(view, e, node, model_of(view, e, stage))
    needed_s = latency_s(view, e, stage, node)
    if needed_s <= number(view, e, SHARE) * time_left_s(view, e, stage):
        return cold + needed_s - SPEED_WEIGHT * nominal_s(view, e, stage, node)
    return cold + TOO_LATE_COST + needed_s


RULE = route_by(
    cost,
    numbers=NUMBERS,
    name="goodserve",
    information="P",
    description="the slowest GPU that still makes the deadline, else the least latency",
    source="GoodServe, arXiv 2605.16867 (V abstract)",
    choice="a stage's part of its workflow's time by predicted work (I); no migration",
)
