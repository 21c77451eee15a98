"""The labels of contention, and the knee of a scenario, of which they are parts where it was measured."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import MOST_LOAD

CONTENTION_LOADS = {"low": 0.5, "medium": 0.8, "high": 1.1, "overload": 1.5}
"""Offered load relative to the knee, or to the capacity where labels stand at it (docs/physics.md, "Offered load")."""


class KneeConfig(StrictModel):
    """Where the backlog of a reference policy stops draining, as `maestro-gym knee` measures and writes it."""

    load: float = Field(
        ge=1e-6, le=MOST_LOAD / 10, description="offered load relative to capacity, at which the backlog stops draining"
    )
    labels: Literal["knee", "capacity"] = Field(
        default="knee", description="what low, medium, high and overload are parts of"
    )
    measured_by: str = Field(default="", description="the command that measured it")
    measured_on: str = Field(default="", description="policy and episodes that it was measured on")


def contention_loads(knee: KneeConfig | None) -> dict[str, float]:
    """Say which offered load each label of contention stands for.

    Args:
        knee: Of the scenario; None where it was not measured, so that the labels are parts of the capacity.

    Returns:
        Offered load relative to the capacity, by label.
    """
    unit = knee.load if knee is not None and knee.labels == "knee" else 1.0
    return {label: share * unit for label, share in CONTENTION_LOADS.items()}
