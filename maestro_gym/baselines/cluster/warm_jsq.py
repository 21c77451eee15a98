"""Join the shortest queue among the nodes where the model is RUNNING or loading, else among all (textbook)."""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import model_of
from maestro_gym.state import View


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Stages at the node, warm nodes first."""
    return stages_at(view, e, node) + cold_cost(view, e, node, model_of(view, e, stage))


RULE = route_by(
    cost,
    name="warm-jsq",
    information="N",
    description="jsq among nodes where the model is RUNNING or loading, else jsq",
    source="textbook",
)
