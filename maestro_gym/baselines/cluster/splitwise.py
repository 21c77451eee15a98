"""Least pending work in either pool (Splitwise's cluster scheduler, V)."""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import work_wait_s
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import model_of
from maestro_gym.state import View


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Work at the node that it computes itself, prompts or answers, warm nodes first."""
    return work_wait_s(view, e, node) + cold_cost(view, e, node, model_of(view, e, stage))


RULE = route_by(
    cost,
    name="splitwise",
    information="P",
    description="least pending work, of prompts to prefill and of answers to decode",
    source="Splitwise (ISCA 2024), section 4.3: join the shortest queue, in pending tokens (V)",
    choice="pending tokens count with their nominal time; no machine changes its pool",
)
