"""The degree at which calls like those of late are answered soonest, by step tables and a queue.

    degree = argmin over p of  mean alone_s(p) / (1 - rho(p))                (``scheduling.degrees``)

Many GPUs a node make one call quick and the board less productive; under little load the first decides, under much the
second. It changes where the response time now is longer than the best one by a share that pays for the change.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.degrees import quickest_degree
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import regroup_by
from maestro_gym.scheduling.view import number
from maestro_gym.state import View

NUMBERS = (
    Number("window", "s", 10, 600, 30, "Time over which calls are counted."),
    Number("gain", "1", 0, 2, 0.25, "Share by which the response time must be longer than the best for a change."),
)
WINDOW, GAIN = places(NUMBERS)


@njit
def degree(view: View, e: int, node: int) -> int:
    """The quickest."""
    return quickest_degree(view, e, node, number(view, e, WINDOW), number(view, e, GAIN))


RULE = regroup_by(
    degree,
    numbers=NUMBERS,
    name="quickest-degree",
    information="P",
    description="the degree of least predicted response time, by step tables and processor sharing",
    source="this project; Kleinrock 1976, Queueing Systems II, on processor sharing",
    choice="calls of the last half minute, evenly over boards, each model alone on a node; a change for a quarter",
)
