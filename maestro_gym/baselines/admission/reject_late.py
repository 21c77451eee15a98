"""Reject what cannot be in time, as SCORPIO rejects the unattainable (arXiv 2505.23022, V-2nd).

    rejected    deadline - now - stretch * T_rem - wait_factor * wait < 0

with ``wait`` the least time over the nodes in which what they were sent is served. It is asked again while a workflow
waits, so one whose time runs out in the global queue is turned away then.
"""

from __future__ import annotations

from maestro_gym.baselines.orders.gateway_hold import least_wait_s
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import slack_s
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import ADMITS, REJECTS, admit_by
from maestro_gym.scheduling.view import number, remaining_s
from maestro_gym.state import View

NUMBERS = (
    Number("stretch", "1", 0.5, 4, 1, "Factor on T_rem in the slack: how much slower calls run than alone."),
    Number("wait_factor", "1", 0, 8, 1, "Factor on the measured wait; 0 rejects only what is late even if served now."),
)
STRETCH, WAIT_FACTOR = places(NUMBERS)


@njit
def verdict(view: View, e: int, stage: int) -> int:
    """``REJECTS`` what is late even so, ``ADMITS`` the rest."""
    slower_s = (number(view, e, STRETCH) - 1.0) * remaining_s(view, e, stage)
    wait_s = number(view, e, WAIT_FACTOR) * least_wait_s(view, e)
    return REJECTS if slack_s(view, e, stage) < slower_s + wait_s else ADMITS


RULE = admit_by(
    verdict,
    numbers=NUMBERS,
    name="reject-late",
    information="P",
    description="turns away what cannot be in time, by T_rem and the least work at a node",
    source="SCORPIO, arXiv 2505.23022 (V-2nd)",
    choice="whole workflows against their deadline; the wait is the least work at a node over the nominal batch",
)
