"""Required rate: the tokens a second that a workflow needs to be in time, largest first (V).

    key = -(remaining output tokens) / (deadline - now)

with the predicted output of the call and of all that will follow it; prompts are not counted, since their tokens take a
hundredth of the time. Adapted: once the deadline is over no rate is enough, and the workflow goes last.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import remaining_output_tokens
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.view import now_s, workflow_of
from maestro_gym.state import Hidden, View


@njit
def left_s(view: View, e: int, stage: int) -> float:
    """Time to the deadline of its workflow [s]."""
    return float(view.workflows[e, workflow_of(view, e, stage)].deadline_s) - now_s(view, e)


@njit
def band(view: View, e: int, stage: int) -> int:
    """1 once the deadline is over."""
    return 0 if left_s(view, e, stage) > 0.0 else 1


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Minus the rate [tokens/s]; minus the tokens once the deadline is over."""
    time_s = left_s(view, e, stage)
    tokens = remaining_output_tokens(view, e, stage)
    return -tokens / time_s if time_s > 0.0 else -tokens


RULE = order_by(
    key,
    band=band,
    name="required-rate",
    information="P",
    description="largest remaining output over time left; what is late goes last",
    source="required rate (V)",
    choice="tokens of the whole workflow; a late workflow goes last",
)
