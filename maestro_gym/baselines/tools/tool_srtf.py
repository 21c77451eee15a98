"""Shortest remaining time first at the tools: T_future of the stage that calls, its call included (Maestro F5)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import give_by
from maestro_gym.scheduling.view import future_s
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """T_future [s]."""
    return future_s(view, e, stage)


RULE = give_by(
    key,
    name="tool-srtf",
    information="P",
    description="a tool serves the workflow with the shortest predicted T_future",
    source="Maestro F5, its T_future alone: what runs already is over",
)
