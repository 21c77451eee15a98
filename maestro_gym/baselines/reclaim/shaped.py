"""Who gives way in the shaped family: Maestro's least harm for each byte, with named weights."""

from __future__ import annotations

from maestro_gym.baselines.reclaim.least_harm import rank
from maestro_gym.baselines.reclaim.offers import is_wanted_sleep, wanted_since_s
from maestro_gym.baselines.shaped.numbers import HARM_PER_BYTE, IDLE_PER_BYTE
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import reclaim_by
from maestro_gym.scheduling.view import now_s, number
from maestro_gym.state import View


@njit
def cost(view: View, e: int, candidate: int) -> float:
    """Weighted harm less weighted idle time, for each byte freed [s/byte]."""
    if is_wanted_sleep(view, e, candidate):
        return -wanted_since_s(view, e, candidate)
    record = view.reclaim[e, candidate]
    idle_s = now_s(view, e) - float(record.last_used_s)
    worth_s = number(view, e, HARM_PER_BYTE) * float(record.harm_s) - number(view, e, IDLE_PER_BYTE) * idle_s
    return worth_s / max(1.0, float(record.freed_bytes))


RULE = reclaim_by(
    rank,
    cost,
    name="shaped",
    information="P",
    description="the least weighted harm a byte",
    source="this project",
    choice="the terms; their weights are searched",
    rival=False,
)
