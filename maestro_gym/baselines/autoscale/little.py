"""Little's law: stages in service are their rate times their time in service; as many nodes as these need.

    nodes = ceil(headroom * (work that became ready in the last window / window) / stages_per_node)

Work is the predicted nominal service time T_current of a stage (F6), so that work a second is rate * E2E without
queues: the number of stages that are served at a time (J. D. C. Little, Operations Research 9(3), 1961). What waits
does not count, and so a start that is under way does not call for another.
"""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import stage_service_s
from maestro_gym.scheduling.load_signals import NOMINAL_BATCH
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import scale_by
from maestro_gym.scheduling.view import now_s, number, ready_s
from maestro_gym.state import View

NUMBERS = (
    Number("window", "s", 10, 1800, 120, "Time over which arriving work is counted."),
    Number("stages_per_node", "stages", 1, 128, NOMINAL_BATCH, "Stages that a node serves at a time."),
    Number("headroom", "1", 0.5, 4, 1.3, "Factor on the number of nodes."),
)
WINDOW, STAGES_PER_NODE, HEADROOM = places(NUMBERS)


@njit
def stages_in_service(view: View, e: int, window_s: float) -> float:
    """Stages that the work which became ready in the last window keeps in service, on average."""
    window_s = min(window_s, max(1.0, now_s(view, e)))
    since_s, work_s = now_s(view, e) - window_s, 0.0
    for stage in range(view.stages.shape[1]):
        # Rows of stages that are not ready yet hold inf.
        if since_s < ready_s(view, e, stage) <= now_s(view, e):
            work_s += stage_service_s(view, e, stage)
    return work_s / window_s


@njit
def target(view: View, e: int) -> int:
    """Nodes that the work of the last window needs."""
    in_service = stages_in_service(view, e, number(view, e, WINDOW))
    return int(math.ceil(number(view, e, HEADROOM) * in_service / number(view, e, STAGES_PER_NODE)))


RULE = scale_by(
    target,
    numbers=NUMBERS,
    name="little",
    information="P",
    description="as many nodes as arriving work keeps busy, by Little's law",
    source="Little 1961; target of many capacity planners",
    choice="work by T_current over a window; 16 stages a node, the nominal batch; headroom of 1.3",
)
