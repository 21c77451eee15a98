"""The percentiles that Maestro's fitness is normalised by: data of a policy, which rules read behind its numbers."""

from __future__ import annotations

from typing import NamedTuple

from maestro_gym.core.compile import njit
from maestro_gym.state import NUMBERS, View


class FitnessScale(NamedTuple):
    """Frozen percentiles of the three terms on validation episodes, seconds.

    The default stands for scenarios without a measured entry: queues of up to 20 s, readiness from
    RUNNING to a cold start, harm up to a wake of a large model (modelling choice).
    """

    benefit_p05_s: float = -20.0
    benefit_p95_s: float = 0.0
    ready_p05_s: float = 0.0
    ready_p95_s: float = 40.0
    harm_p05_s: float = 0.0
    harm_p95_s: float = 5.0


@njit
def fitness_scale(view: View, e: int) -> tuple[float, float, float, float, float, float]:
    """The policy's `FitnessScale` as a plain tuple: read at run time, so that no scenario compiles a rule anew."""
    row = view.numbers[e]
    return (
        float(row[NUMBERS]),
        float(row[NUMBERS + 1]),
        float(row[NUMBERS + 2]),
        float(row[NUMBERS + 3]),
        float(row[NUMBERS + 4]),
        float(row[NUMBERS + 5]),
    )
