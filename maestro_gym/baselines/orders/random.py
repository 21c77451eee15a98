"""A random stage, drawn anew at every decision (textbook)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.core.hashing import RULE as PURPOSE
from maestro_gym.core.hashing import uniform
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.view import decision_number
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """A draw between 0 and 1."""
    return uniform(int(view.clock[e].key), PURPOSE, decision_number(view, e) * view.stages.shape[1] + stage)


RULE = order_by(key, name="random", information="N", description="a random stage", source="textbook", rival=False)
