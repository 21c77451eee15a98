"""The order at the tools of the shaped family: the moment of asking, shifted by what is to come; by default that order.

key = moment of the last token + tool_future * T_future                     tool_future > 0
    = the same for all, so that the first that asked is the first           else
"""

from __future__ import annotations

from maestro_gym.baselines.shaped.numbers import TOOL_FUTURE
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import give_by
from maestro_gym.scheduling.view import future_s, number
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """When the stage would be served if T_future were a wait [s]."""
    weight = number(view, e, TOOL_FUTURE)
    if weight <= 0.0:
        return 0.0
    return float(view.stages[e, stage].finished_s) + weight * future_s(view, e, stage)


RULE = give_by(
    key,
    name="shaped",
    information="P",
    description="a tool serves by the moment of asking and the predicted future, by default by the first alone",
    source="this project",
    choice="one weight, searched with the other numbers",
    rival=False,
)
