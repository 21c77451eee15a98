"""Shortest job first, a job being the stage itself: T_current, its predicted service time (textbook; Maestro F6)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import stage_service_s
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """T_current [s]."""
    return float(stage_service_s(view, e, stage))


RULE = order_by(
    key,
    slope=keeps,
    name="sjf",
    information="P",
    description="shortest predicted service of the stage itself",
    source="textbook",
)
