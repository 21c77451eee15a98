"""Reclaim rules: who gives way when a node is short of memory.

Asked again and again until enough is free. All of them spare models that have stages waiting on
the node while another choice exists: putting those to sleep only moves the shortage.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.baselines.room import oldest_waiting_s
from maestro_gym.jit import njit
from maestro_gym.policy import RuleFunction
from maestro_gym.schema import RECLAIM_DEMOTE, RECLAIM_PAUSE, RECLAIM_SLEEP, RECLAIM_TRIM, Hidden, View

RECLAIM_BY_HARM, RECLAIM_BY_AGE, RECLAIM_LAST_ADMITTED = range(3)

LATER_COST_S: Final = 1e9
"""Sets a kind of action behind all of another kind; longer than any run."""


@njit
def is_pause_offered(view: View, e: int) -> bool:
    """Whether running stages may be paused: only when one of them could not grow."""
    for i in range(int(view.reclaim_len[e])):  # noqa: SIM110 - numba compiles no generator expression
        if int(view.reclaim[e, i].kind) == RECLAIM_PAUSE:
            return True
    return False


@njit
def spared_until_s(view: View, e: int, candidate: int) -> float:
    """How much a candidate is to be spared: minus when its model's oldest waiting stage became ready.

    Returns:
        -inf for a model that no waiting stage asks for and for actions on stages; larger for
        older demand.
    """
    record = view.reclaim[e, candidate]
    kind = int(record.kind)
    if kind not in (RECLAIM_SLEEP, RECLAIM_DEMOTE):
        return -math.inf
    node = int(view.clock[e].place)
    return -oldest_waiting_s(view, e, node, int(view.engines[e, node, int(record.slot)].model))


@njit
def harm_rate(view: View, e: int, candidate: int) -> float:
    """Harm to others for each byte freed, seconds a byte: Maestro's order of degradation."""
    record = view.reclaim[e, candidate]
    return float(record.harm_s) / max(1.0, float(record.freed_bytes))


@njit
def candidate_cost(view: View, e: int, candidate: int, law: int, growth: bool) -> float:
    """Cost of a candidate under one of the ``RECLAIM_*`` laws; inf when the law passes it over."""
    record = view.reclaim[e, candidate]
    kind = int(record.kind)
    if law == RECLAIM_BY_HARM:
        return harm_rate(view, e, candidate)
    if law == RECLAIM_LAST_ADMITTED and growth:
        # vLLM preempts the last running request and touches nothing else.
        return -float(view.stages[e, int(record.stage)].admitted_s) if kind == RECLAIM_PAUSE else math.inf
    if kind == RECLAIM_TRIM:
        return math.inf
    if kind == RECLAIM_PAUSE:
        return 2.0 * LATER_COST_S - float(view.stages[e, int(record.stage)].admitted_s)
    # One tier at a time: idle engines go to sleep before a sleeper is ended.
    return float(record.last_used_s) + (LATER_COST_S if kind == RECLAIM_DEMOTE else 0.0)


def make_reclaim_rule(law: int) -> RuleFunction:
    """Reclaim rule of least cost under one of the ``RECLAIM_*`` laws."""

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        growth = is_pause_offered(view, e)
        best, best_spared_s, best_cost = -1, math.inf, math.inf
        for i in range(int(view.reclaim_len[e])):
            spared_s = spared_until_s(view, e, i)
            cost = candidate_cost(view, e, i, law, growth)
            if best < 0 or is_before(cost, spared_s, best_cost, best_spared_s):
                best, best_spared_s, best_cost = i, spared_s, cost
        return best

    return rule


@njit
def is_before(cost: float, spared_s: float, best_cost: float, best_spared_s: float) -> bool:
    """Whether a candidate gives way before another: not passed over, least to be spared, least cost."""
    if (cost == math.inf) != (best_cost == math.inf):
        return cost < best_cost
    return spared_s < best_spared_s or (spared_s == best_spared_s and cost < best_cost)
