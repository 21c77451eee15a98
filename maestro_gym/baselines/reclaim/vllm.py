"""vLLM V1: a stage that cannot grow preempts the last admitted; loads put the least recently used model to sleep."""

from __future__ import annotations

from maestro_gym.baselines.reclaim.lru import rank as rank_by_age
from maestro_gym.baselines.reclaim.offers import age_cost, kind_of
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import reclaim_by
from maestro_gym.state import RECLAIM_PAUSE, View


@njit
def rank(view: View, e: int, candidate: int, growth: bool) -> int:
    """For growth pauses only come first, as vLLM preempts the last running request and nothing else."""
    if growth:
        return 0 if kind_of(view, e, candidate) == RECLAIM_PAUSE else 1
    return rank_by_age(view, e, candidate, growth)


RULE = reclaim_by(
    rank,
    age_cost,
    name="vllm",
    information="N",
    description="a stage that cannot grow preempts the last admitted; loads put the least recently used model to sleep",
    source="vLLM V1 scheduler; sleep mode by LRU",
    rival=False,
)
