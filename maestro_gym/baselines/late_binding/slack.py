"""How much time a workflow has left to be in time, and whether its call is pressing.

The numbers are those of `holds`; where a policy is given none, the slack is deadline - now - T_rem.
"""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import class_of, now_s, number, workflow_of
from maestro_gym.state import INTERACTIVE, View

MOST_SLACK_S = 1e6
"""Slack beyond which it does not count, so that a workflow without a deadline has a key too."""

PESSIMISM, STRETCH, RELEGATION_MARGIN, PRESSING_CLASS, PRESSING_SLACK = range(5)
"""Places of the numbers in ``view.numbers``."""

NUM_SLACK = 5


@njit
def remaining_of(view: View, e: int, stage: int) -> float:
    """T_rem between its median and its 90th percentile [s]."""
    record = view.stages[e, stage]
    median_s = float(record.remaining_s_q50)
    return median_s + number(view, e, PESSIMISM) * (float(record.remaining_s_q90) - median_s)


@njit
def slack_of(view: View, e: int, stage: int) -> float:
    """Time by which the deadline can still be met, as calls run beside others [s]; negative when it cannot."""
    left_s = float(view.workflows[e, workflow_of(view, e, stage)].deadline_s) - now_s(view, e)
    left_s -= number(view, e, STRETCH) * remaining_of(view, e, stage)
    return min(MOST_SLACK_S, left_s)


@njit
def is_pressing(view: View, e: int, stage: int) -> bool:
    """Whether a call may take the places that a node keeps: it can be in time, and not if it waits long."""
    slack_s = slack_of(view, e, stage)
    if slack_s < number(view, e, RELEGATION_MARGIN):
        return False
    if class_of(view, e, stage) == INTERACTIVE and number(view, e, PRESSING_CLASS) > 0.5:
        return True
    return slack_s < number(view, e, PRESSING_SLACK)


@njit
def pressing_from_s(view: View, e: int, stage: int) -> float:
    """The time before which a call that waits is surely not pressing [s]: its slack falls as the clock goes."""
    slack_s = slack_of(view, e, stage)
    if slack_s < number(view, e, RELEGATION_MARGIN):
        return math.inf
    if class_of(view, e, stage) == INTERACTIVE and number(view, e, PRESSING_CLASS) > 0.5:
        return -math.inf
    return now_s(view, e) + slack_s - number(view, e, PRESSING_SLACK)
