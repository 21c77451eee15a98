"""The order of the shaped family: a sum of named terms, Maestro's by default.

    key = remaining * T_rem + log_remaining * ln T_rem + wait * (now - ready) + age * (now - arrival)
        + interactive [interactive] + ttft_slack * max(0, limit - waited) [interactive] + protected [cooldown]
        + slack * max(0, s) + lateness * max(0, -s) + late [now > deadline] + relegation [s < relegation_margin]
        + stages_done * stages done + service * T_current + remaining_calls * calls to come
        + tenant_excess * max(0, the tenant's share of all service - its weight's)

with the slack s = deadline - now - stretch * T_rem. ``relegation`` is the
"hopeless last" of QoServe (arXiv 2503.22562).
"""

from __future__ import annotations

import math

from maestro_gym.baselines.late_binding.slack import (
    RELEGATION_MARGIN,
    remaining_of,
    slack_of,
)
from maestro_gym.baselines.orders import maestro
from maestro_gym.baselines.shaped.numbers import (
    AGE,
    CLASS_BANDS,
    INTERACTIVE_BONUS,
    LATE,
    LATENESS,
    LOG_REMAINING,
    PROTECTED,
    RELEGATION,
    REMAINING,
    REMAINING_CALLS,
    SERVICE,
    SLACK,
    STAGES_DONE,
    TENANT_EXCESS,
    TTFT_SLACK,
    WAIT,
)
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import stage_service_s
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.service import service_excess
from maestro_gym.scheduling.view import class_of, now_s, number, stages_done, tenant_of, waited_s, workflow_of
from maestro_gym.state import INTERACTIVE, Hidden, View

LEAST_REMAINING_S = 0.1
"""T_rem below which its logarithm stays the same."""


@njit
def band(view: View, e: int, stage: int) -> int:
    """Maestro's bands, or one for all."""
    return maestro.band(view, e, stage) if number(view, e, CLASS_BANDS) > 0.5 else 0


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """The sum of the terms [s]."""
    record = view.stages[e, stage]
    workflow = view.workflows[e, workflow_of(view, e, stage)]
    remaining_s = remaining_of(view, e, stage)
    waited = waited_s(view, e, stage)
    slack_s = slack_of(view, e, stage)
    value = number(view, e, REMAINING) * remaining_s + number(view, e, WAIT) * waited
    value += number(view, e, LOG_REMAINING) * math.log(max(LEAST_REMAINING_S, remaining_s))
    value += number(view, e, AGE) * (now_s(view, e) - float(workflow.arrival_s))
    value += number(view, e, SLACK) * max(0.0, slack_s) + number(view, e, LATENESS) * max(0.0, -slack_s)
    value += number(view, e, STAGES_DONE) * stages_done(view, e, stage)
    value += number(view, e, SERVICE) * stage_service_s(view, e, stage)
    value += number(view, e, REMAINING_CALLS) * float(record.remaining_calls)
    if class_of(view, e, stage) == INTERACTIVE:
        value += number(view, e, INTERACTIVE_BONUS)
        value += number(view, e, TTFT_SLACK) * max(0.0, float(workflow.ttft_limit_s) - waited)
    if number(view, e, TENANT_EXCESS) > 0.0:
        value += number(view, e, TENANT_EXCESS) * service_excess(view, e, tenant_of(view, e, stage))
    if maestro.is_protected(view, e, stage):
        value += number(view, e, PROTECTED)
    if now_s(view, e) > float(workflow.deadline_s):
        value += number(view, e, LATE)
    if slack_s < number(view, e, RELEGATION_MARGIN):
        value += number(view, e, RELEGATION)
    return value


@njit
def slope(view: View, e: int) -> float:
    """How fast a key falls at most, or how slowly it rises: by the signs of the weights; -inf: it may jump down."""
    if number(view, e, RELEGATION) < 0.0 or number(view, e, PROTECTED) > 0.0 or number(view, e, TENANT_EXCESS) > 0.0:
        return -math.inf
    of_slack = min(0.0, -number(view, e, SLACK), number(view, e, LATENESS))
    return number(view, e, WAIT) + number(view, e, AGE) + of_slack + min(0.0, -number(view, e, TTFT_SLACK))


@njit
def until(view: View, e: int, stage: int) -> float:
    """The deadline, when being late makes a key smaller [s]."""
    deadline_s = float(view.workflows[e, workflow_of(view, e, stage)].deadline_s)
    return deadline_s if number(view, e, LATE) < 0.0 and now_s(view, e) <= deadline_s else math.inf


RULE = order_by(
    key,
    band=band,
    slope=slope,
    until=until,
    name="shaped",
    information="P",
    description="a sum of named terms in place of Maestro's key",
    source="this project",
    choice="the terms; their weights are searched",
    rival=False,
)
