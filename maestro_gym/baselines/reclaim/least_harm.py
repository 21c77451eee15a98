"""Maestro's degradation ladder: the action with the least estimated harm to others for each byte it frees (V-author).

The harm is C_deg of the candidate, ``sim/reclaim.py`` and ``scheduling/estimates.py``.
"""

from __future__ import annotations

from maestro_gym.baselines.reclaim.offers import (
    RANK_IDLE,
    RANK_SLEEPER,
    is_wanted_sleep,
    kind_of,
    sleep_rank,
    wanted_since_s,
)
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import reclaim_by
from maestro_gym.state import RECLAIM_DEMOTE, RECLAIM_SLEEP, View


@njit
def rank(view: View, e: int, candidate: int, growth: bool) -> int:
    """One tier at a time: idle engines sleep before a sleeper is ended; trims and pauses stand beside idle engines."""
    kind = kind_of(view, e, candidate)
    if kind == RECLAIM_DEMOTE:
        return RANK_SLEEPER
    return sleep_rank(view, e, candidate) if kind == RECLAIM_SLEEP else RANK_IDLE


@njit
def cost(view: View, e: int, candidate: int) -> float:
    """Harm for each byte freed [s/byte]; of wanted engines the youngest demand gives way."""
    if is_wanted_sleep(view, e, candidate):
        return -wanted_since_s(view, e, candidate)
    record = view.reclaim[e, candidate]
    return float(record.harm_s) / max(1.0, float(record.freed_bytes))


RULE = reclaim_by(
    rank,
    cost,
    name="least-harm",
    information="P",
    description="the action with the least harm to others a byte",
    source="Maestro's degradation ladder (V-author)",
    choice="harm estimates of scheduling/estimates; models with waiting stages are spared",
    rival=False,
)
