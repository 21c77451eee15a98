"""AIBrix least-busy-time (V): the node whose GPU was busy for the least share of the time.

    ratio <- e^(-t / window) ratio + (1 - e^(-t / window)) [node runs stages],      t = time since the last look

Source: `least_busy_time.go` of AIBrix' gateway plug-in: least GPU busy-time ratio, a gauge that its source still mocks.
Class N. Adapted (I): the ratio is an exponential mean, kept in the policy's own notes and looked at whenever a stage is
placed; there are notes for `MOST_NODES` nodes, of others it is known only whether they are busy now. Of equal ratios
the lower id, as there the first. Warm nodes come first.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.baselines.late_binding.choose_node import best_node, cold_cost
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import running_at
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import Routing, as_cost
from maestro_gym.scheduling.view import model_of, now_s, num_nodes, number
from maestro_gym.state import MEMORY, View

NUMBERS = (Number("window", "s", 1, 600, 30, "Time over which the busy share of a node is taken."),)
(WINDOW,) = places(NUMBERS)

_TIME_NOTE: Final = 0
"""Place of the time of the last look in ``view.memory``."""

_NODE_NOTES: Final = 1
"""First place of the busy shares, one for each node."""

MOST_NODES: Final = MEMORY - _NODE_NOTES
"""Nodes that there are notes for."""


@njit
def look(view: View, e: int) -> None:
    """Bring the busy shares up to now."""
    elapsed_s = now_s(view, e) - float(view.memory[e, _TIME_NOTE])
    if elapsed_s <= 0.0:
        return
    kept = math.exp(-elapsed_s / max(1e-3, number(view, e, WINDOW)))
    for node in range(min(num_nodes(view), MOST_NODES)):
        busy = 1.0 if running_at(view, e, node) > 0 else 0.0
        view.memory[e, _NODE_NOTES + node] = kept * view.memory[e, _NODE_NOTES + node] + (1.0 - kept) * busy
    view.memory[e, _TIME_NOTE] = now_s(view, e)


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Busy share of a node as it was last looked at, warm nodes first."""
    cold = cold_cost(view, e, node, model_of(view, e, stage))
    if node < MOST_NODES:
        return cold + float(view.memory[e, _NODE_NOTES + node])
    return cold + (1.0 if running_at(view, e, node) > 0 else 0.0)


@njit
def least_busy(view: View, e: int, stage: int, cluster: int, gate: int) -> int:
    """Look, then take the node with the least busy share."""
    look(view, e)
    return best_node(view, e, stage, cluster, as_cost(cost), gate)


RULE = Routing(
    node=least_busy,
    numbers=NUMBERS,
    name="least-busy-time",
    information="N",
    description="least share of the time busy",
    source="AIBrix least-busy-time (V)",
    choice="an exponential mean over a window (I), which is a number; warm nodes first",
)
