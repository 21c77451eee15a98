"""Continuum's time to live (V abstract, form V-2nd): what a session left for a tool call stays for as long as it pays.

    TTL = argmax_t  P(the tool returns by t) * (time to come back) - price * (share of memory) * t
        = gap * ln(back / (price * share * gap)), at least 0, for gaps that are exponential with mean `gap`       (D)

Source: Continuum, arXiv 2511.02230: KV is pinned after a tool call for a TTL from the distribution of the tool's
duration, the reload it saves, and what its memory costs others. Class N: the mean gap is learned from the gaps so far,
one of `first_gap` counted beside them and those that still last by their length so far. Adapted (I): cached KV is no
candidate, so the engine is pinned that ran the session's last call; coming back costs a wake and the prefill of the
context; one distribution for all tools, for the view names none. A pinned engine gives way after all that are not, the
first to expire before the others. Program-level FCFS is the order `workflow-fcfs`.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.reclaim.offers import age_cost, is_wanted_sleep, kind_of, pauses_on
from maestro_gym.baselines.reclaim.vllm import rank as vllm_rank
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_times import wake_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import reclaim_by
from maestro_gym.scheduling.tool_view import context_tokens
from maestro_gym.scheduling.view import node_to_serve, now_s, number, slot_model
from maestro_gym.state import RECLAIM_SLEEP, STAGE_FINISHED, STAGE_FUTURE, STAGE_GAP, STAGE_TOOL, View

NUMBERS = (
    Number("price", "s/s", 0.01, 10, 1, "Delay to others for each second that the whole memory of a node is held."),
    Number("first_gap", "s", 0.1, 60, 5, "Tool gap that is assumed before any was seen; it counts as one."),
)
PRICE, FIRST_GAP = places(NUMBERS)


@njit
def mean_gap_s(view: View, e: int) -> float:
    """Mean time from the end of a call to the next of its workflow, from the past [s]."""
    total_s, ended = number(view, e, FIRST_GAP), 1
    for stage in range(view.stages.shape[1]):
        record = view.stages[e, stage]
        if int(record.phase) in (STAGE_TOOL, STAGE_GAP):
            total_s += max(0.0, now_s(view, e) - float(record.finished_s))
        if stage > 0 and int(record.phase) != STAGE_FUTURE:
            before = view.stages[e, stage - 1]
            follows = int(record.workflow) == int(before.workflow) and int(record.depth) == int(before.depth) + 1
            if follows and int(before.phase) == STAGE_FINISHED:
                total_s += max(0.0, float(record.ready_s) - float(before.finished_s))
                ended += 1
    return total_s / ended


@njit
def ttl_s(gap_s: float, back_s: float, price: float) -> float:
    """How long it pays to keep what costs ``price`` a second and saves ``back_s`` when the tool returns [s]."""
    if back_s <= price * gap_s:
        return 0.0
    return gap_s * math.log(back_s / max(1e-9, price * gap_s))


@njit
def expiry_s(view: View, e: int, candidate: int) -> float:
    """Until when the engine of a candidate is pinned: the latest of its paused sessions; -inf when there is none."""
    node = node_to_serve(view, e)
    model = slot_model(view, e, node, int(view.reclaim[e, candidate].slot))
    share = float(view.reclaim[e, candidate].freed_bytes) / max(1.0, float(view.world.nodes[node].hbm_pool_bytes))
    gap_s, latest_s = mean_gap_s(view, e), -math.inf
    for stage in range(view.stages.shape[1]):
        if not pauses_on(view, e, stage, node, model):
            continue
        record = view.stages[e, stage]
        context = context_tokens(view, e, stage)
        back_s = wake_s(view, node, model) + context * float(view.world.service[model].prefill_s_per_token)
        # An answer on its way has not begun its gap.
        begin_s = min(now_s(view, e), float(record.finished_s))
        latest_s = max(latest_s, begin_s + ttl_s(gap_s, back_s, number(view, e, PRICE) * share))
    return latest_s


@njit
def is_pinned(view: View, e: int, candidate: int) -> bool:
    """Whether an idle engine would sleep before the TTL of a session on it is over; not one that stages wait for."""
    if kind_of(view, e, candidate) != RECLAIM_SLEEP or is_wanted_sleep(view, e, candidate):
        return False
    return expiry_s(view, e, candidate) > now_s(view, e)


@njit
def rank(view: View, e: int, candidate: int, growth: bool) -> int:
    """As vLLM's, pinned engines between the idle ones and all the rest."""
    others = vllm_rank(view, e, candidate, growth)
    if growth:
        return others
    if others > 0:
        return others + 1
    return 1 if is_pinned(view, e, candidate) else 0


@njit
def cost(view: View, e: int, candidate: int) -> float:
    """When a pinned engine expires; the age of what is not pinned."""
    return expiry_s(view, e, candidate) if is_pinned(view, e, candidate) else age_cost(view, e, candidate)


RULE = reclaim_by(
    rank,
    cost,
    numbers=NUMBERS,
    name="continuum-ttl",
    information="N",
    description="idle engines sleep by age, those that a paused session will want within its time to live last",
    source="Continuum, arXiv 2511.02230 (V abstract, form V-2nd)",
    choice="engines in place of KV; exponential gaps learned from the past; price (I) is a number",
)
