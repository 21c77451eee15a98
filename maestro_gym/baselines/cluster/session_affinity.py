"""Where the workflow's last stage ran, if the model is warm there, else warm-jsq (AIBrix session-affinity, V)."""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import COLD_COST
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import is_warm, model_of, workflow_of
from maestro_gym.state import View


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Below every queue at the workflow's last node, stages at the node elsewhere, cold nodes last."""
    if not is_warm(view, e, node, model_of(view, e, stage)):
        return stages_at(view, e, node) + COLD_COST
    at_home = int(view.workflows[e, workflow_of(view, e, stage)].last_node) == node
    return -1.0 if at_home else float(stages_at(view, e, node))


RULE = route_by(
    cost,
    name="session-affinity",
    information="N",
    description="where the workflow's last stage ran if the model is warm there, else warm-jsq",
    source="AIBrix session-affinity (V)",
    choice="a prefix lives in one model's engine, so affinity needs the model to be warm",
)
