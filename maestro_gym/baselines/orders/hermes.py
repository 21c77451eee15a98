"""Hermes: the Gittins index of the remaining time, largest first (V-2nd).

    index = max over quanta q of P(T <= q) / E[min(T, q)], key = 1 / index

the best chance to finish for the time that it takes: a job that is short or soon over or else long goes before one of
the same mean that is always middling. T is T_rem, log-normal through its predicted median and 90th percentile.

Adapted: Hermes learns a graph of stages, here the predictor's percentiles; quanta lie every half standard deviation
of the logarithm between -4 and 4. Its prewarming of what follows with p >= 0.5 is left out: models start for stages
that wait.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.log_normal import LEAST_S, mean_until_s, sigma_of
from maestro_gym.scheduling.rules import keeps, order_by
from maestro_gym.state import Hidden, View

_QUANTA: Final = tuple(0.5 * i - 4.0 for i in range(17))
"""Where the quanta lie, in standard deviations of the logarithm."""

_BELOW: Final = tuple(0.5 * math.erfc(-z / math.sqrt(2.0)) for z in _QUANTA)
"""The part of the lengths up to each."""

_CERTAIN: Final = 1e-6
"""Spread of the logarithm below which a length is taken as known."""


@njit
def seconds_per_finish(median_s: float, sigma: float) -> float:
    """One over the Gittins index of a log-normal length: the least time for a certain finish [s]."""
    if sigma < _CERTAIN:
        return max(LEAST_S, median_s)
    least_s = math.inf
    for i in range(len(_QUANTA)):
        least_s = min(least_s, mean_until_s(median_s, sigma, _QUANTA[i], _BELOW[i]) / _BELOW[i])
    return least_s


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """One over the Gittins index of T_rem [s]."""
    record = view.stages[e, stage]
    median_s = float(record.remaining_s_q50)
    return seconds_per_finish(median_s, sigma_of(median_s, float(record.remaining_s_q90)))


RULE = order_by(
    key,
    slope=keeps,
    name="hermes",
    information="P",
    description="largest Gittins index of the predicted remaining time",
    source="Hermes (V-2nd); Gittins index, textbook",
    choice="a log-normal law through median and 90th percentile stands for the learned graph",
)
