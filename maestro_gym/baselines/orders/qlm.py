"""QLM as far as an order can: whoever meets its SLO with probability 0.9 first, by deadline (2407.00047, SoCC 2024).

    RWT = least over nodes of (queued work / throughput + time until the model can serve there)
    band 0: now + RWT + q90 of T_rem <= deadline, by deadline
    band 1: the others, shortest T_rem first

RWT is QLM's waiting time, expected work ahead over throughput (V; form I), with its swap cost. The bands follow a
port's objective (V-2nd): as many as possible with P(C <= d) > 0.9, then the least sum of expected tardiness, which
among late jobs is that of the shortest first; ties and continuation by due date.

Adapted: QLM solves a program over groups of requests in queues of instances. Requests of one model and SLO are in order
of arrival by their deadlines, so its groups appear here; the queues of instances are the nodes', and the program's
solution is this rule of thumb. Eviction of running requests is left out.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import ready_time_s
from maestro_gym.scheduling.load_signals import queue_wait_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.view import is_new_decision, model_of, now_s, num_nodes, number, remaining_s, workflow_of
from maestro_gym.state import Hidden, View

NUMBERS = (
    Number("wait_factor", "1", 0, 8, 1, "Factor on the estimated waiting time."),
    Number("margin", "s", -60, 60, 0, "Time to the deadline that a workflow must keep to be in the first band."),
)
WAIT_FACTOR, MARGIN = places(NUMBERS)

_NOTES: Final = 64
"""First place of the notes of models: the decision of the estimate, counted from 1, and the estimate."""

_NOTED_MODELS: Final = 31


@njit
def estimate_s(view: View, e: int, model: int) -> float:
    """RWT of a model [s]."""
    least_s = math.inf
    for node in range(num_nodes(view)):
        least_s = min(least_s, queue_wait_s(view, e, node) + ready_time_s(view, e, node, model))
    return least_s


@njit
def waiting_s(view: View, e: int, model: int) -> float:
    """RWT of a model, for the first models estimated once a decision [s]."""
    if model >= _NOTED_MODELS:
        return estimate_s(view, e, model)
    note = _NOTES + 2 * model
    if is_new_decision(view, e, note):
        view.memory[e, note + 1] = estimate_s(view, e, model)
    return float(view.memory[e, note + 1])


@njit
def band(view: View, e: int, stage: int) -> int:
    """0 for what will be in time with probability 0.9."""
    wait_s = number(view, e, WAIT_FACTOR) * waiting_s(view, e, model_of(view, e, stage))
    end_s = now_s(view, e) + wait_s + float(view.stages[e, stage].remaining_s_q90)
    deadline_s = float(view.workflows[e, workflow_of(view, e, stage)].deadline_s)
    return 0 if end_s + number(view, e, MARGIN) <= deadline_s else 1


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Deadline in band 0, T_rem in band 1 [s]."""
    if band(view, e, stage) == 1:
        return remaining_s(view, e, stage)
    return float(view.workflows[e, workflow_of(view, e, stage)].deadline_s)


RULE = order_by(
    key,
    band=band,
    numbers=NUMBERS,
    name="qlm",
    information="P",
    description="by deadline, what is in time with probability 0.9; then shortest T_rem",
    source="QLM, arXiv 2407.00047 (V; objective V-2nd)",
    choice="a rule of thumb in place of the program over groups; the form of the waiting time",
)
