"""Elastic parallelism of the shaped family: the quickest degree, where that saves a share; by default never.

    degree = that of ``quickest_degree.py``, where it saves degree_gain > 0
           = as it is, else

Calls are counted over a fixed time.
"""

from __future__ import annotations

from maestro_gym.baselines.shaped.numbers import DEGREE_GAIN
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.degrees import degree_of, quickest_degree
from maestro_gym.scheduling.rules import regroup_by
from maestro_gym.scheduling.view import number
from maestro_gym.state import View

WINDOW_S = 30.0
"""Time over which calls are counted [s]; a modelling choice."""


@njit
def degree(view: View, e: int, node: int) -> int:
    """The quickest where the family's number is above 0, else as it is."""
    gain = number(view, e, DEGREE_GAIN)
    return quickest_degree(view, e, node, WINDOW_S, gain) if gain > 0.0 else degree_of(view, node)


RULE = regroup_by(
    degree,
    name="shaped",
    information="P",
    description="the quickest degree where it saves a share of the response time, by default never",
    source="this project",
    choice="one share, searched with the other numbers",
    rival=False,
)
