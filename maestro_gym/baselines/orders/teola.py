"""Teola (Ayo): queries that came together go by the depth of their graphs, deepest first (2407.00326).

    band = floor(arrival / window), key = -(calls that will follow)

Its engine scheduler fills a batch from the queries of its queue, those primitives first that have the most of the graph
still below them (V abstract; depth rule I).

Adapted: depth is the predicted number of calls that follow, class P, where Teola has the declared graph; a window of
arrivals stands for the queue that a batch is filled from, so that deep queries do not starve the others. Its passes
over graphs of primitives are a compiler's, no scheduler's.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import number, workflow_of
from maestro_gym.state import Hidden, View

NUMBERS = (Number("window", "s", 0.5, 120, 5, "Width of a window of arrivals whose workflows go by depth."),)
(WINDOW,) = places(NUMBERS)

_LEAST_S: Final = 1e-3


@njit
def band(view: View, e: int, stage: int) -> int:
    """The window of its workflow's arrival."""
    arrival_s = float(view.workflows[e, workflow_of(view, e, stage)].arrival_s)
    return int(arrival_s / max(_LEAST_S, number(view, e, WINDOW)))


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Minus the calls that will follow."""
    return -float(view.stages[e, stage].remaining_calls)


RULE = order_by(
    key,
    band=band,
    slope=keeps,
    numbers=NUMBERS,
    name="teola",
    information="P",
    description="workflows of one window of arrivals by predicted depth, deepest first",
    source="Teola / Ayo, arXiv 2407.00326 (V abstract, depth rule I)",
    choice="windows of 5 s; predicted calls in place of the declared graph",
)
