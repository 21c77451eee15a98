"""AIBrix least-request (V): the engine with the fewest requests, running or waiting.

    cost = requests that the gateway has sent to the pod and that are not finished

Source: `least_request.go` of AIBrix' gateway plug-in, which counts them itself. Class N. Adapted: a pod serves one
model, so it is an engine here and not a node, whose other engines do not count; ties fall to the lower id, there at
random.
"""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import model_of, num_waiting, slot_of, slot_running
from maestro_gym.state import View


@njit
def requests_of(view: View, e: int, node: int, model: int) -> int:
    """Stages of a model that a node runs, or that were sent to it."""
    slot = slot_of(view, e, node, model)
    running = slot_running(view, e, node, slot) if slot >= 0 else 0
    return running + num_waiting(view, e, node, model)


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Requests of the stage's model at the node, warm nodes first."""
    model = model_of(view, e, stage)
    return requests_of(view, e, node, model) + cold_cost(view, e, node, model)


RULE = route_by(
    cost,
    name="least-request",
    information="N",
    description="fewest requests of the stage's own model",
    source="AIBrix least-request (V)",
    choice="a pod is an engine; warm nodes first",
)
