"""First come, first served: the stage that became ready first (textbook)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import ready_s
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """When it became ready [s]."""
    return ready_s(view, e, stage)


RULE = order_by(
    key, slope=keeps, name="fcfs", information="N", description="first ready, first sent", source="textbook"
)
