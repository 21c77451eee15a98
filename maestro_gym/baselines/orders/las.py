"""Least attained service, by workflow: Agentix PLAS (V-2nd)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import workflow_of
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Service time that its workflow has received [s]."""
    return float(view.workflows[e, workflow_of(view, e, stage)].attained_s)


RULE = order_by(
    key,
    slope=keeps,
    name="las",
    information="N",
    description="workflow with the least attained service",
    source="Agentix PLAS (V-2nd)",
    choice="continuous key in place of discretised queues",
)
