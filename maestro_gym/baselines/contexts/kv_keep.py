"""Every context is held until its next call, or as long as the scenario allows (the upper bound of reuse)."""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import hold_by
from maestro_gym.state import View


@njit
def hold_s(view: View, e: int, stage: int, node: int) -> float:
    """As long as may be [s]."""
    return math.inf


RULE = hold_by(
    hold_s,
    name="kv-keep",
    information="N",
    description="every context is held while its tool runs",
    source="textbook",
)
