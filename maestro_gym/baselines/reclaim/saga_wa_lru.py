"""SAGA's workflow-aware LRU (V-2nd): what was used long ago, will hardly be used again and is large gives way.

P_evict = recency * min(1, idle / window) + reuse * (1 - P_reuse) + size * min(1, bytes / most bytes); the largest first
P_reuse = 1 - product over the sessions that pause on the engine of (1 - p), p = P(the session goes on)

Source: SAGA, arXiv 2605.00528 (HPDC 2026); weights 0.3, 0.5 and 0.2 from a third party's re-implementation, the window
not found (I). Class P: p is the predicted tool probability, the ReAct form 1 - p_term of its execution graph. Adapted:
cached KV is no candidate, so entries are engines, which all sessions share, whence the product; the share of the next
context that an entry covers, c / (c + E[obs]), is 1 for weights. A session pauses on the engine that ran its last call,
from the last token to the return of the tool.
"""

from __future__ import annotations

from maestro_gym.baselines.reclaim.offers import age_cost, is_wanted_sleep, kind_of, pauses_on
from maestro_gym.baselines.reclaim.vllm import rank
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import reclaim_by
from maestro_gym.scheduling.view import node_to_serve, now_s, number, slot_model
from maestro_gym.state import RECLAIM_DEMOTE, RECLAIM_SLEEP, View

NUMBERS = (
    Number("recency", "1", 0, 1, 0.3, "Weight of the time since the last use."),
    Number("reuse", "1", 0, 1, 0.5, "Weight of how unlikely it is that a paused session comes back."),
    Number("size", "1", 0, 1, 0.2, "Weight of the bytes that it frees."),
    Number("window", "s", 1, 600, 60, "Idle time beyond which an engine counts as not recent at all."),
)
RECENCY, REUSE, SIZE, WINDOW = places(NUMBERS)


@njit
def reuse_probability(view: View, e: int, node: int, model: int) -> float:
    """Probability that one of the sessions that pause on an engine goes on."""
    none = 1.0
    for stage in range(view.stages.shape[1]):
        if pauses_on(view, e, stage, node, model):
            none *= 1.0 - min(1.0, max(0.0, float(view.stages[e, stage].tool_probability)))
    return 1.0 - none


@njit
def most_bytes(view: View, e: int) -> float:
    """The most bytes that any candidate frees."""
    most = 1.0
    for candidate in range(int(view.reclaim_len[e])):
        most = max(most, float(view.reclaim[e, candidate].freed_bytes))
    return most


@njit
def cost(view: View, e: int, candidate: int) -> float:
    """Minus P_evict of an engine that is idle or sleeps; what else is offered goes by its age."""
    if kind_of(view, e, candidate) not in (RECLAIM_SLEEP, RECLAIM_DEMOTE) or is_wanted_sleep(view, e, candidate):
        return age_cost(view, e, candidate)
    record = view.reclaim[e, candidate]
    node = node_to_serve(view, e)
    idle = (now_s(view, e) - float(record.last_used_s)) / max(1e-3, number(view, e, WINDOW))
    reuse = reuse_probability(view, e, node, slot_model(view, e, node, int(record.slot)))
    evict = number(view, e, RECENCY) * min(1.0, idle) + number(view, e, REUSE) * (1.0 - reuse)
    return -(evict + number(view, e, SIZE) * float(record.freed_bytes) / most_bytes(view, e))


RULE = reclaim_by(
    rank,
    cost,
    numbers=NUMBERS,
    name="saga-wa-lru",
    information="P",
    description="weighted sum of idle time, unlikely reuse by paused sessions, and size",
    source="SAGA WA-LRU, arXiv 2605.00528 (V-2nd)",
    choice="engines in place of KV entries; a window of 60 s (I)",
)
