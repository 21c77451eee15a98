"""SRTF that knows the true remaining time: the upper bound on what prediction can give (Maestro's baseline list)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """True nominal service and gap time of the longest path from here [s]."""
    return float(oracle.truth[e, stage].remaining_s)


RULE = order_by(
    key,
    slope=keeps,
    name="oracle-srtf",
    information="O",
    description="shortest true remaining time",
    source="Maestro's baseline list",
)
