"""Join the shortest queue: fewest stages waiting, on the way or running (textbook)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.rules import OPEN, route_by
from maestro_gym.state import View


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Stages at the node."""
    return float(stages_at(view, e, node))


RULE = route_by(
    cost,
    gate=OPEN,
    name="jsq",
    information="N",
    description="fewest stages waiting, on the way or running",
    source="textbook",
)
