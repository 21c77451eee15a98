"""ServerlessLLM: the earliest estimated start, queue and load together (V argmin)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import ready_time_s
from maestro_gym.scheduling.load_signals import queue_wait_s
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import model_of
from maestro_gym.state import View


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Estimated start [s]: queue wait and T_ready."""
    return queue_wait_s(view, e, node) + float(ready_time_s(view, e, node, model_of(view, e, stage)))


RULE = route_by(
    cost,
    name="serverlessllm",
    information="P",
    description="earliest estimated start: queue + load",
    source="ServerlessLLM (V argmin)",
    choice="queue estimate is the node's predicted work; no migration",
)
