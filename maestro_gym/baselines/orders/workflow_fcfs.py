"""The workflow that arrived first (program-level FCFS, as Continuum orders programs)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import workflow_of
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Arrival of its workflow [s]."""
    return float(view.workflows[e, workflow_of(view, e, stage)].arrival_s)


RULE = order_by(
    key,
    slope=keeps,
    name="workflow-fcfs",
    information="N",
    description="workflow that arrived first",
    source="Continuum (program-level FCFS)",
)
