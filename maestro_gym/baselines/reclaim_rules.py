"""Reclaim rules: who gives way when a node is short of memory.

Asked again and again until enough is free. All of them spare models that have stages waiting on
the node while another choice exists: putting those to sleep only moves the shortage.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.keys import is_sooner
from maestro_gym.baselines.room import oldest_waiting_s
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.policy import RuleFunction
from maestro_gym.state import RECLAIM_DEMOTE, RECLAIM_PAUSE, RECLAIM_SLEEP, RECLAIM_TRIM, Hidden, View

RECLAIM_BY_HARM, RECLAIM_BY_AGE, RECLAIM_LAST_ADMITTED = range(3)


@njit
def is_pause_offered(view: View, e: int) -> bool:
    """Whether running stages may be paused: only when one of them could not grow."""
    for i in range(int(view.reclaim_len[e])):  # noqa: SIM110 - numba compiles no generator expression
        if int(view.reclaim[e, i].kind) == RECLAIM_PAUSE:
            return True
    return False


@njit
def wanted_since_s(view: View, e: int, candidate: int) -> float:
    """When the oldest stage that waits for a candidate's model became ready; inf when none waits."""
    node = int(view.clock[e].place)
    slot = int(view.reclaim[e, candidate].slot)
    return oldest_waiting_s(view, e, node, int(view.engines[e, node, slot].model))


@njit
def candidate_rank(view: View, e: int, candidate: int, law: int, growth: bool) -> int:
    """Which kinds of action go before which: 0 first."""
    kind = int(view.reclaim[e, candidate].kind)
    if law == RECLAIM_LAST_ADMITTED and growth:
        return 0 if kind == RECLAIM_PAUSE else 1  # vLLM preempts the last running request, nothing else
    if kind == RECLAIM_DEMOTE:
        return 2  # one tier at a time: idle engines sleep before a sleeper is ended
    if kind == RECLAIM_SLEEP:
        return 1 if wanted_since_s(view, e, candidate) < math.inf else 0
    if law == RECLAIM_BY_HARM:
        return 0
    return 3 if kind == RECLAIM_PAUSE else 4


@njit
def candidate_cost(view: View, e: int, candidate: int, law: int) -> float:
    """Cost of a candidate among those of its rank."""
    record = view.reclaim[e, candidate]
    kind = int(record.kind)
    if kind == RECLAIM_SLEEP and wanted_since_s(view, e, candidate) < math.inf:
        return -wanted_since_s(view, e, candidate)  # the youngest demand gives way
    if law == RECLAIM_BY_HARM:
        return float(record.harm_s) / max(1.0, float(record.freed_bytes))
    if kind in (RECLAIM_PAUSE, RECLAIM_TRIM):
        return -float(view.stages[e, int(record.stage)].admitted_s)
    return float(record.last_used_s)


def make_reclaim_rule(law: int) -> RuleFunction:
    """Reclaim rule of least cost under one of the ``RECLAIM_*`` laws."""

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        growth = is_pause_offered(view, e)
        best, best_rank, best_cost = -1, 1 << 30, math.inf
        for i in range(int(view.reclaim_len[e])):
            rank = candidate_rank(view, e, i, law, growth)
            cost = candidate_cost(view, e, i, law)
            if best < 0 or is_sooner(rank, cost, best_rank, best_cost):
                best, best_rank, best_cost = i, rank, cost
        return best

    return rule
