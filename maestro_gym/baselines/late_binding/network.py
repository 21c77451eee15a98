"""A small network that moves the caps of `holds` with the state: two hidden units, no more than a dozen weights.

    hidden_u = tanh(bias_u + backlog_u * b + demand_u * d + fill_u * f)        u = a, b
    a cap moves by cap_a * hidden_a + cap_b * hidden_b

with b = ln(1 + stages in the global queue a node), d = ln(1 + stages of the model in it for each node that has the
model) and f = stages at the node / 64. With all weights 0 no cap moves. What it is worth is in docs/learned.md.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.late_binding.slack import NUM_SLACK
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.view import nodes_there, num_ready, number
from maestro_gym.state import View

(
    NET_A_BIAS,
    NET_A_BACKLOG,
    NET_A_DEMAND,
    NET_A_FILL,
    NET_B_BIAS,
    NET_B_BACKLOG,
    NET_B_DEMAND,
    NET_B_FILL,
    NET_A_STAGES,
    NET_B_STAGES,
    NET_A_RESERVE,
    NET_B_RESERVE,
    NET_A_ENGINES,
    NET_B_ENGINES,
) = range(NUM_SLACK, NUM_SLACK + 14)
"""Places of the weights in ``view.numbers``."""

NUM_NETWORK = NUM_SLACK + 14

FULL_NODE = 64.0
"""Stages of a node that is full, for the scale of an input alone."""


@njit
def hidden(view: View, e: int, model: int, node: int, first: int) -> float:
    """A hidden unit, whose weights begin at a place."""
    record = view.models[e, model]
    value = number(view, e, first)
    value += number(view, e, first + 1) * math.log(1.0 + num_ready(view, e) / nodes_there(view, e))
    value += number(view, e, first + 2) * math.log(1.0 + int(record.ready) / max(1, int(record.warm_nodes)))
    return math.tanh(value + number(view, e, first + 3) * stages_at(view, e, node) / FULL_NODE)


@njit
def is_still(view: View, e: int) -> bool:
    """Whether all weights of the outputs are 0, as under most policies."""
    for place in range(NET_A_STAGES, NUM_NETWORK):  # noqa: SIM110 - numba compiles no generator expression
        if number(view, e, place) != 0.0:
            return False
    return True


@njit
def moves(view: View, e: int, model: int, node: int) -> tuple[float, float, float]:
    """What is added to the cap on stages, to the places kept for pressing calls, and to the cap on engines."""
    if is_still(view, e):
        return 0.0, 0.0, 0.0
    a, b = hidden(view, e, model, node, NET_A_BIAS), hidden(view, e, model, node, NET_B_BIAS)
    return (
        number(view, e, NET_A_STAGES) * a + number(view, e, NET_B_STAGES) * b,
        number(view, e, NET_A_RESERVE) * a + number(view, e, NET_B_RESERVE) * b,
        number(view, e, NET_A_ENGINES) * a + number(view, e, NET_B_ENGINES) * b,
    )
