"""Hierarchical LRU: the least recently used idle model sleeps, then the last admitted stage is paused (V-author)."""

from __future__ import annotations

from maestro_gym.baselines.reclaim.offers import LAST, RANK_SLEEPER, age_cost, kind_of, sleep_rank
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import reclaim_by
from maestro_gym.state import RECLAIM_DEMOTE, RECLAIM_PAUSE, RECLAIM_SLEEP, View


@njit
def rank(view: View, e: int, candidate: int, growth: bool) -> int:
    """Idle engines, wanted engines, sleepers, pauses, trims."""
    kind = kind_of(view, e, candidate)
    if kind == RECLAIM_DEMOTE:
        return RANK_SLEEPER
    if kind == RECLAIM_SLEEP:
        return sleep_rank(view, e, candidate)
    return LAST if kind == RECLAIM_PAUSE else LAST + 1


RULE = reclaim_by(
    rank,
    age_cost,
    name="lru",
    information="N",
    description="least recently used idle model sleeps, then the last admitted stage is paused",
    source="hierarchical LRU (V-author)",
    rival=False,
)
