"""From declarations of who gives way (``scheduling.rules``) to compiled rules."""

from __future__ import annotations

import math
from collections.abc import Callable

from maestro_gym.baselines.build import rule_of
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.order import is_sooner
from maestro_gym.scheduling.policy import Rule
from maestro_gym.scheduling.rules import ReclaimRule, as_key, as_rank
from maestro_gym.state import RECLAIM_PAUSE, Hidden, View


@njit
def is_pause_offered(view: View, e: int) -> bool:
    """Whether running stages may be paused: only when one of them could not grow."""
    for i in range(int(view.reclaim_len[e])):  # noqa: SIM110 - numba compiles no generator expression
        if int(view.reclaim[e, i].kind) == RECLAIM_PAUSE:
            return True
    return False


@njit
def first_to_give_way(view: View, oracle: Hidden, e: int, rank: Callable[..., int], cost: Callable[..., float]) -> int:
    """Candidate of least rank and, inside it, of least cost; -1 when none is offered."""
    growth = is_pause_offered(view, e)
    best, best_rank, best_cost = -1, 1 << 30, math.inf
    for i in range(int(view.reclaim_len[e])):
        its_rank, its_cost = rank(view, e, i, growth), cost(view, oracle, e, i)
        if best < 0 or is_sooner(its_rank, its_cost, best_rank, best_cost):
            best, best_rank, best_cost = i, its_rank, its_cost
    return best


def _cost_of(declared: ReclaimRule) -> Callable[..., float]:
    """The cost of a candidate of a reclaim: ``(view, oracle, e, candidate) -> float``."""
    if declared.oracle_cost is not None:
        return declared.oracle_cost
    cost = declared.cost
    if cost is None:
        raise ValueError(f"reclaim rule {declared.name!r} has neither a cost nor one that reads the truth")

    @njit
    def blind(view: View, oracle: Hidden, e: int, candidate: int) -> float:
        return cost(view, e, candidate)

    return blind


def reclaim_rule(declared: ReclaimRule) -> Rule:
    """The candidate of least rank and cost gives way; asked again until enough is free."""
    rank, cost = declared.rank, _cost_of(declared)

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        return first_to_give_way(view, oracle, e, as_rank(rank), as_key(cost))

    return rule_of(declared, "reclaim", rule)
