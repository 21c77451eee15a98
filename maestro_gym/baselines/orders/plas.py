"""Agentix PLAS: least attained service of the program, in discretised queues (2502.13965, NSDI 2026; rule V-2nd).

    p = sum of the service of the program's completed calls
    level = floor(log2(1 + p / quantum)), at most 7; inside a level the call that came first

A program is demoted as its service passes the quantum, twice, four times the quantum and so on. Against starvation it
returns to the first level when its wait is beta times its service or more. ``las`` is the same without levels.

Adapted: the wait of a program is its age less its service, so tool gaps count as waiting. Quantum and beta are choices.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import now_s, number, ready_s, workflow_of
from maestro_gym.state import Hidden, View

NUMBERS = (
    Number("quantum", "s", 0.1, 60, 2, "Service after which a program leaves the first level."),
    Number("beta", "1", 0.5, 50, 10, "Wait over service from which a program returns to the first level."),
)
QUANTUM, BETA = places(NUMBERS)

LAST_LEVEL: Final = 7
_LEAST_S: Final = 1e-3


@njit
def level_of(view: View, e: int, service_s: float) -> int:
    """The level of a program with some service [s]."""
    quantum_s = max(_LEAST_S, number(view, e, QUANTUM))
    return min(LAST_LEVEL, int(math.log2(1.0 + service_s / quantum_s)))


@njit
def starves_s(view: View, e: int, stage: int) -> float:
    """When its program will have waited for beta times its service, a quantum at least [s]."""
    workflow = view.workflows[e, workflow_of(view, e, stage)]
    service_s = float(workflow.attained_s)
    quantum_s = max(_LEAST_S, number(view, e, QUANTUM))
    return float(workflow.arrival_s) + service_s + number(view, e, BETA) * max(service_s, quantum_s)


@njit
def band(view: View, e: int, stage: int) -> int:
    """Its level; the first one when its program starves."""
    if now_s(view, e) > starves_s(view, e, stage):
        return 0
    return level_of(view, e, float(view.workflows[e, workflow_of(view, e, stage)].attained_s))


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """When it became ready [s]."""
    return ready_s(view, e, stage)


@njit
def until(view: View, e: int, stage: int) -> float:
    """When it returns to the first level [s]; inf once it has."""
    at_s = starves_s(view, e, stage)
    return at_s if now_s(view, e) <= at_s else math.inf


RULE = order_by(
    key,
    band=band,
    slope=keeps,
    until=until,
    numbers=NUMBERS,
    name="plas",
    information="N",
    description="least attained service of the workflow, in levels that double; the starving return to the first",
    source="Agentix PLAS, arXiv 2502.13965 (V-2nd)",
    choice="quantum 2 s, beta 10; wait is age less service",
)
