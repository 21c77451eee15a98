"""Interactive before batch, inside a class FCFS (ablation of Maestro F9)."""

from __future__ import annotations

from maestro_gym.baselines.orders.fcfs import key
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import class_of
from maestro_gym.state import View


@njit
def band(view: View, e: int, stage: int) -> int:
    """A band for each class, interactive first."""
    return class_of(view, e, stage)


RULE = order_by(
    key,
    band=band,
    slope=keeps,
    name="class-fcfs",
    information="N",
    description="interactive first, then first ready",
    source="ablation of Maestro F9",
    rival=False,
)
