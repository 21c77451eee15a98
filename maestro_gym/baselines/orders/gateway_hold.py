"""Gateway hold: a call leaves the gateway only when the measured capacity lets it meet its deadline (V).

    leaves now      deadline - now - T_rem >= factor * wait
    is held         0 <= deadline - now - T_rem < factor * wait
    cannot be met   deadline - now - T_rem < 0

with ``wait`` the least time over the nodes in which what they were sent is served, as it is measured now. What leaves
goes by deadline. A held call waits in the global queue although a node may be open to it, until the load falls or its
time is up.

Adapted: the gateway rejects what cannot be met. An order cannot reject, so such a call goes last; `admission.gateway`
is the same gateway with its rejection.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.baselines.orders import edf
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import slack_s
from maestro_gym.scheduling.load_signals import work_wait_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.view import is_new_decision, num_nodes, number
from maestro_gym.state import MEMORY, View

NUMBERS = (Number("wait_factor", "1", 0, 8, 1, "Factor on the measured wait; 0 holds nothing."),)
(WAIT_FACTOR,) = places(NUMBERS)

LEAVES, HELD, HOPELESS = range(3)

_NOTE: Final = MEMORY - 2
"""Places of the decision in which the wait was measured, counted from 1, and of the wait."""


@njit
def least_wait_s(view: View, e: int) -> float:
    """The least time over the nodes to serve what they were sent, measured once a decision [s]."""
    if is_new_decision(view, e, _NOTE):
        least_s = math.inf
        for node in range(num_nodes(view)):
            least_s = min(least_s, work_wait_s(view, e, node))
        view.memory[e, _NOTE + 1] = least_s
    return float(view.memory[e, _NOTE + 1])


@njit
def band(view: View, e: int, stage: int) -> int:
    """``LEAVES``, ``HELD`` or ``HOPELESS``."""
    slack = slack_s(view, e, stage)
    if slack < 0.0:
        return HOPELESS
    return HELD if slack < number(view, e, WAIT_FACTOR) * least_wait_s(view, e) else LEAVES


@njit
def hold(view: View, e: int, stage: int) -> bool:
    """Whether it is held."""
    return band(view, e, stage) == HELD


RULE = order_by(
    edf.key,
    band=band,
    hold=hold,
    numbers=NUMBERS,
    name="gateway-hold",
    information="P",
    description="by deadline, what the measured capacity lets be in time; the rest is held, and what is hopeless last",
    source="gateway hold (V)",
    choice="capacity: the least work at a node over the nominal batch; what would be rejected goes last",
)
