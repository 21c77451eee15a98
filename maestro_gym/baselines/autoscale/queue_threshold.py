"""A threshold with hysteresis: one step up where a node has too many stages, one down where it has too few.

    stages a node = stages in the system / nodes that count;  above high: +step;  below low: -step;  else as it is

Autoscalers of containers act so on a gauge of waiting requests. Whether nodes that are starting count among those that
share the load is a number: where they do not, every moment until they are ready asks for more of them.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import scale_by
from maestro_gym.scheduling.scaling import nodes_in, nodes_on, ready_or_starting, stages_present
from maestro_gym.scheduling.view import number
from maestro_gym.state import NODE_READY, View

NUMBERS = (
    Number("high", "stages/node", 1, 128, 16, "Stages a node above which a step goes up."),
    Number("low", "stages/node", 0, 64, 6, "Stages a node below which a step goes down."),
    Number("step", "nodes", 1, 16, 1, "Nodes of a step."),
    Number("counts_starting", "flag", 0, 1, 1, "Above 0.5 nodes that are starting share the load already."),
)
HIGH, LOW, STEP, COUNTS_STARTING = places(NUMBERS)


@njit
def target(view: View, e: int) -> int:
    """One step more or less than now, or as many."""
    sharing = ready_or_starting(view, e) if number(view, e, COUNTS_STARTING) > 0.5 else nodes_in(view, e, NODE_READY)
    stages = stages_present(view, e) / max(1, sharing)
    step = int(number(view, e, STEP) + 0.5)
    if stages > number(view, e, HIGH):
        return nodes_on(view, e) + step
    if stages < number(view, e, LOW):
        return nodes_on(view, e) - step
    return nodes_on(view, e)


RULE = scale_by(
    target,
    numbers=NUMBERS,
    name="queue-threshold",
    information="N",
    description="one node more above a threshold of stages a node, one less below another",
    source="horizontal autoscalers on a queue gauge (V-2nd)",
    choice="all stages in the system count; thresholds of 16 and 6; nodes that start count",
)
