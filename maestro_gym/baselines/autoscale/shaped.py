"""Autoscaling of the shaped family: as many nodes as arriving work keeps busy, with a headroom; by default as they are.

    nodes = ceil(scale_headroom * stages in service / NOMINAL_BATCH)       scale_headroom > 0
          = those that are on                                              else

Stages in service by Little's law over a fixed window, as in ``little.py``.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.autoscale.little import stages_in_service
from maestro_gym.baselines.shaped.numbers import SCALE_HEADROOM
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import NOMINAL_BATCH
from maestro_gym.scheduling.rules import scale_by
from maestro_gym.scheduling.scaling import nodes_on
from maestro_gym.scheduling.view import number
from maestro_gym.state import View

WINDOW_S = 120.0
"""Time over which arriving work is counted [s]; the default of ``little.py``."""


@njit
def target(view: View, e: int) -> int:
    """By the family's number where it is above 0."""
    headroom = number(view, e, SCALE_HEADROOM)
    if headroom <= 0.0:
        return nodes_on(view, e)
    return int(math.ceil(headroom * stages_in_service(view, e, WINDOW_S) / NOMINAL_BATCH))


RULE = scale_by(
    target,
    name="shaped",
    information="P",
    description="as many nodes as arriving work keeps busy with a headroom, by default as they are",
    source="this project",
    choice="one headroom, searched with the other numbers",
    rival=False,
)
