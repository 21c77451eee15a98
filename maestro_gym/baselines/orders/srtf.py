"""Shortest remaining time first: T_rem = T_current + T_future of the workflow (Maestro F5, without classes)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import remaining_s
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """T_rem [s]."""
    return remaining_s(view, e, stage)


RULE = order_by(
    key,
    slope=keeps,
    name="srtf",
    information="P",
    description="shortest predicted T_rem of the workflow",
    source="Maestro F5 without classes",
)
