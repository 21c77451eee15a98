"""Pythia: workflows that are near their end first, with aging (2604.25899; rule V-2nd).

    effective = w1 / E[steps to the end] + aging * wait, largest first

with the steps of an automaton learned from history: the call itself and the predicted calls after it. Pythia's weights
are not published; a re-implementation takes 1 and 1/30 s.

Adapted: S_unblock, which favours calls whose later agents' queues are short, is left out: no prediction here names the
models of later calls.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.view import number, waited_s
from maestro_gym.state import Hidden, View

NUMBERS = (
    Number("completion", "1", 0, 8, 1, "Weight of one over the expected steps to the end of the workflow."),
    Number("aging", "1/s", 0, 0.5, 1 / 30, "Added for each second since readiness."),
)
COMPLETION, AGING = places(NUMBERS)


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Minus the effective score."""
    steps = 1.0 + max(0.0, float(view.stages[e, stage].remaining_calls))
    return -number(view, e, COMPLETION) / steps - number(view, e, AGING) * waited_s(view, e, stage)


@njit
def slope(view: View, e: int) -> float:
    """All keys fall alike, as their stages age."""
    return -number(view, e, AGING)


RULE = order_by(
    key,
    slope=slope,
    numbers=NUMBERS,
    name="pythia",
    information="P",
    description="fewest expected steps to the end of the workflow, with aging",
    source="Pythia, arXiv 2604.25899 (V-2nd)",
    choice="weights 1 and 1/30 s; its second term, S_unblock, is left out",
)
