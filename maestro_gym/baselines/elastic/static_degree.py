"""One degree for all boards and all the time, that which a serving engine is started with.

    degree = the largest of the scenario's degrees that is at most the number

By default it is the largest; the fleet's own is what every policy without a rule of elastic parallelism keeps.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.degrees import degree_of, next_degree, smallest_degree
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import regroup_by
from maestro_gym.scheduling.view import number
from maestro_gym.state import View

NUMBERS = (Number("degree", "GPUs", 1, 8, 8, "Most GPUs of a node."),)
(DEGREE,) = places(NUMBERS)


@njit
def degree(view: View, e: int, node: int) -> int:
    """The largest within the number, or the smallest of all."""
    best = smallest_degree(view, node)
    other = next_degree(view, node, best)
    while other >= 0 and degree_of(view, other) <= number(view, e, DEGREE):
        best = degree_of(view, other)
        other = next_degree(view, node, best)
    return best


RULE = regroup_by(
    degree,
    numbers=NUMBERS,
    name="static-degree",
    information="N",
    description="every node has the same GPUs all the time",
    source="tensor_parallel_size of serving engines",
)
