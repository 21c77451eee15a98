"""Parrot: applications one after the other, their calls in topological order of the whole DAG (OSDI 2024; V, V-2nd).

    band = objective of the application, latency before throughput; key = arrival, then most dependent calls

Semantic variables show Parrot the DAG of an application before it runs. From its final node it deduces whether latency
or throughput counts, and it serves calls in topological order. A call has more dependents than any of them, so the one
with the most comes first. The class is O, for the future calls of the true DAG are read (no lengths).

Adapted: the objective is the class of the workflow. Calls with a common prefix are sent to one engine by Parrot; here
that is the routing's choice.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import class_of, workflow_of
from maestro_gym.state import Hidden, View

_TIE_S: Final = 1e-6
"""By which a call goes before another of its application for each dependent more; arrivals differ by more [s]."""


@njit
def band(view: View, e: int, stage: int) -> int:
    """Interactive first: latency is their objective, throughput that of batch."""
    return class_of(view, e, stage)


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Arrival of its application, then the calls that depend on it [s]."""
    arrival_s = float(view.workflows[e, workflow_of(view, e, stage)].arrival_s)
    return arrival_s - _TIE_S * float(oracle.truth[e, stage].remaining_calls)


RULE = order_by(
    key,
    band=band,
    slope=keeps,
    name="parrot",
    information="O",
    description="interactive first, then applications as they arrived, topological order of the true DAG inside one",
    source="Parrot, OSDI 2024 (V; projection V-2nd)",
    choice="an objective is a class; most dependents first is the topological order",
)
