"""Kairos: agents that are likely to finish sooner go first (2508.06948; V abstract, rule V-2nd).

    key = E[T_rem] of the log-normal law through the predicted median and 90th percentile

Kairos learns the distribution of each agent's remaining latency from finished workflows. Adapted: T_future, which
predictors learn from history by role and place in the workflow, and T_current of the call make up that distribution;
agents are ranked by its mean, since Kairos' exact comparison is not known to us. Its dispatch by predicted KV over time
slots is a choice of node and not an order.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.log_normal import mean_s, sigma_of
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.state import Hidden, View


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """Mean of T_rem [s]."""
    record = view.stages[e, stage]
    median_s, q90_s = float(record.remaining_s_q50), float(record.remaining_s_q90)
    return mean_s(median_s, sigma_of(median_s, q90_s))


RULE = order_by(
    key,
    slope=keeps,
    name="kairos",
    information="P",
    description="least mean of the predicted remaining latency",
    source="Kairos, arXiv 2508.06948 (V-2nd)",
    choice="a log-normal law through median and 90th percentile stands for the learned distribution",
)
