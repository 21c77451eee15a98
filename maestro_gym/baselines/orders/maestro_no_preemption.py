"""Maestro's order without boundary preemption: what was begun goes before what was not (ablation of F9)."""

from __future__ import annotations

from maestro_gym.baselines.orders.maestro import key, slope
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.view import class_of, stages_done
from maestro_gym.state import View


@njit
def band(view: View, e: int, stage: int) -> int:
    """Two bands for each class, interactive first: stages of started workflows, first stages."""
    return 2 * class_of(view, e, stage) + (0 if stages_done(view, e, stage) > 0 else 1)


RULE = order_by(
    key,
    band=band,
    slope=slope,
    name="maestro-no-preemption",
    information="P",
    description="as maestro, but later stages of started workflows go before first stages of their class",
    source="ablation of Maestro F9",
    rival=False,
)
