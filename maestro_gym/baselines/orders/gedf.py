"""Group EDF: stages with near deadlines are a group; groups by deadline, inside a group the shortest job first (V-2nd).

    band = floor(deadline / group_s), key = T_current

EDF alone loses throughput among deadlines that hardly differ; SJF inside a group gives it back. Adapted: groups are
windows of the clock, where gEDF opens one at the earliest deadline of the queue, so that a group does not depend on who
waits; its width is not known to us.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.baselines.orders import sjf
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.scheduling.view import number, workflow_of
from maestro_gym.state import View

NUMBERS = (Number("group", "s", 0.5, 120, 10, "Width of a group of deadlines."),)
(GROUP,) = places(NUMBERS)

_LEAST_S: Final = 1e-3
_LAST: Final = 1 << 29
"""Group of what has no deadline."""


@njit
def band(view: View, e: int, stage: int) -> int:
    """The group of its workflow's deadline."""
    deadline_s = float(view.workflows[e, workflow_of(view, e, stage)].deadline_s)
    return int(min(deadline_s / max(_LEAST_S, number(view, e, GROUP)), float(_LAST)))


RULE = order_by(
    sjf.key,
    band=band,
    slope=keeps,
    numbers=NUMBERS,
    name="gedf",
    information="P",
    description="groups of near deadlines, shortest predicted service first inside a group",
    source="gEDF (V-2nd)",
    choice="groups are windows of 10 s of the clock",
)
