"""A random node, drawn anew at every decision (textbook)."""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.core.hashing import RULE as PURPOSE
from maestro_gym.core.hashing import uniform
from maestro_gym.scheduling.rules import OPEN, route_by
from maestro_gym.scheduling.view import decision_number, num_nodes
from maestro_gym.state import View

NODE_DRAW: Final = PURPOSE + 1
"""Purpose of draws of nodes, apart from draws of stages."""


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """A draw between 0 and 1."""
    return uniform(int(view.clock[e].key), NODE_DRAW, decision_number(view, e) * num_nodes(view) + node)


RULE = route_by(cost, gate=OPEN, name="random", information="N", description="a random node", source="textbook")
