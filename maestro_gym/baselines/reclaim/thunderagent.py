"""ThunderAgent's eviction (V-2nd): the running stage that is cheapest to compute again is paused, the shortest context.

    cost of a pause = (prompt + output so far)^2

Source: ThunderAgent, in a third party's re-implementation: recompute cost grows with the square of the context,
shortest first. Class N. Adapted: only the last stage of each engine can be paused, so it chooses among engines; the
decay of paused programs, e^(-lambda t), has no counterpart, for a paused stage keeps no KV here. Idle engines sleep by
age.
"""

from __future__ import annotations

from maestro_gym.baselines.reclaim.offers import age_cost, kind_of
from maestro_gym.baselines.reclaim.vllm import rank
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import reclaim_by
from maestro_gym.scheduling.view import prompt_tokens
from maestro_gym.state import RECLAIM_PAUSE, View


@njit
def cost(view: View, e: int, candidate: int) -> float:
    """Square of the context of a stage that may be paused; what else is offered goes by its age."""
    if kind_of(view, e, candidate) != RECLAIM_PAUSE:
        return age_cost(view, e, candidate)
    stage = int(view.reclaim[e, candidate].stage)
    context = prompt_tokens(view, e, stage) + int(view.stages[e, stage].generated_tokens)
    return context * context


RULE = reclaim_by(
    rank,
    cost,
    name="thunderagent",
    information="N",
    description="the last admitted stage with the shortest context is paused; idle engines sleep by age",
    source="ThunderAgent (V-2nd)",
    choice="among the last stages of the engines; no decay",
)
