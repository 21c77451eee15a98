"""Earliest deadline first, by the deadline of the workflow (textbook)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import workflow_of
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Deadline of its workflow [s]."""
    return float(view.workflows[e, workflow_of(view, e, stage)].deadline_s)


RULE = order_by(
    key,
    slope=keeps,
    name="edf",
    information="N",
    description="workflow with the earliest deadline",
    source="textbook",
)
