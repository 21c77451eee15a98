"""Virtual token counter: the client that has been served least goes first (VTC, 2401.00588, V).

    counter of a client = prompt tokens admitted + 2 * tokens generated; least first
    on return: counter = max(counter, least counter of the clients that wait)

A client's wait earns it nothing while it has nothing to serve, so who returns does not go before all others for long.

Adapted: a client is a tenant, and what its calls generate counts when they end, as a scheduler outside the engines sees
it. When nobody else waits a counter is not lifted. Tenants beyond 20 share counters.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.view import (
    decision_number,
    num_ready,
    number,
    prompt_tokens,
    ready_stage,
    workflow_of,
)
from maestro_gym.state import Hidden, View

NUMBERS = (
    Number("prompt_weight", "1", 0, 4, 1, "Weight of a prompt token in the counter."),
    Number("output_weight", "1", 0, 8, 2, "Weight of a generated token in the counter."),
)
PROMPT_WEIGHT, OUTPUT_WEIGHT = places(NUMBERS)

COUNTERS: Final = 20
"""Counters that are kept."""

_DECISION: Final = 64
"""Place of the decision up to which counters are right, counted from 1, in ``view.memory``."""

_SERVED: Final = _DECISION + 1
"""First place of what each counter has been served [weighted tokens]."""

_LIFT: Final = _SERVED + COUNTERS
"""First place of by how much each was lifted."""

_WAITS: Final = _LIFT + COUNTERS
"""First place of whether each has calls in the global queue: 1 since before this decision, 2 since it."""


@njit
def counter_of(view: View, e: int, stage: int) -> int:
    """The counter of a stage's tenant."""
    return int(view.workflows[e, workflow_of(view, e, stage)].tenant) % COUNTERS


@njit
def _count_served(view: View, e: int) -> None:
    """Add up what every counter has been served."""
    notes = view.memory[e]
    for counter in range(COUNTERS):
        notes[_SERVED + counter] = 0.0
    for stage in range(view.stages.shape[1]):
        record = view.stages[e, stage]
        if workflow_of(view, e, stage) >= 0 and float(record.admitted_s) < math.inf:
            served = number(view, e, PROMPT_WEIGHT) * prompt_tokens(view, e, stage)
            if float(record.finished_s) < math.inf:
                served += number(view, e, OUTPUT_WEIGHT) * float(record.generated_tokens)
            notes[_SERVED + counter_of(view, e, stage)] += served


@njit
def _lift_returned(view: View, e: int) -> None:
    """Lift the counters of those who return to the least of those who have waited."""
    notes = view.memory[e]
    for counter in range(COUNTERS):
        notes[_WAITS + counter] = -abs(notes[_WAITS + counter])  # waited, and nothing is known yet of now
    for position in range(num_ready(view, e)):
        at = _WAITS + counter_of(view, e, ready_stage(view, e, position))
        if notes[at] <= 0.0:
            notes[at] = 1.0 if notes[at] < 0.0 else 2.0
    least = math.inf
    for counter in range(COUNTERS):
        notes[_WAITS + counter] = max(0.0, notes[_WAITS + counter])
        if notes[_WAITS + counter] == 1.0:
            least = min(least, notes[_SERVED + counter] + notes[_LIFT + counter])
    for counter in range(COUNTERS):
        if notes[_WAITS + counter] == 2.0 and least < math.inf:
            notes[_LIFT + counter] = max(notes[_LIFT + counter], least - notes[_SERVED + counter])


@njit
def counted(view: View, e: int, counter: int) -> float:
    """What a counter shows, brought up to date once a decision [weighted tokens]."""
    decision = float(decision_number(view, e) + 1)
    if view.memory[e, _DECISION] != decision:
        view.memory[e, _DECISION] = decision
        _count_served(view, e)
        _lift_returned(view, e)
    return float(view.memory[e, _SERVED + counter] + view.memory[e, _LIFT + counter])


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """The counter of its tenant [weighted tokens]."""
    return counted(view, e, counter_of(view, e, stage))


RULE = order_by(
    key,
    numbers=NUMBERS,
    name="vtc",
    information="N",
    description="tenant with the least virtual token counter, lifted on return",
    source="VTC, arXiv 2401.00588 (V)",
    choice="generated tokens count when a call ends; 20 counters",
)
