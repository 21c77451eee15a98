"""LLMSched-like: shortest expected remaining time, and now and then what is least certain (2504.03444; formula V-2nd).

    with probability 1 - epsilon   key = E[T_rem]
    with probability epsilon       key = -(q90 - q50 of T_future)

After each completed stage LLMSched updates a Bayesian network over the durations of a DAG's stages; exploring, it takes
the stage that tells the most about them, by mutual information times their ranges. Adapted: predictions are made anew
for each stage of a workflow, which stands for the update; no joint law of durations is known here, so the spread of
what follows a stage stands for what its end would tell.
"""

from __future__ import annotations

from maestro_gym.baselines.orders import kairos
from maestro_gym.core.compile import njit
from maestro_gym.core.hashing import RULE as PURPOSE
from maestro_gym.core.hashing import uniform
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.view import decision_number, number
from maestro_gym.state import Hidden, View

NUMBERS = (Number("epsilon", "1", 0, 1, 0.1, "Probability that a decision explores."),)
(EPSILON,) = places(NUMBERS)


@njit
def explores(view: View, e: int) -> bool:
    """Whether the pending decision explores: one draw for all its stages."""
    return uniform(int(view.clock[e].key), PURPOSE, decision_number(view, e)) < number(view, e, EPSILON)


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Mean of T_rem, or minus the spread of T_future [s]."""
    if explores(view, e):
        record = view.stages[e, stage]
        return float(record.future_s_q50) - float(record.future_s_q90)
    return kairos.key(view, oracle, e, stage)


RULE = order_by(
    key,
    numbers=NUMBERS,
    name="llmsched",
    information="P",
    description="least mean of predicted T_rem; one decision in ten takes the least certain future",
    source="LLMSched, arXiv 2504.03444 (V abstract, formula V-2nd)",
    choice="epsilon 0.1; the spread of T_future in place of information gain over a Bayesian network",
)
