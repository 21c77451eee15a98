"""Every context is held until its next call, or as long as the scenario allows (the upper bound of reuse)."""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import hold_code
from maestro_gym.scheduling.rules import hold_by
from maestro_gym.state import View


@njit
def fate(view: View, e: int, stage: int, node: int) -> int:
    """Held for as long as may be."""
    return hold_code(math.inf)


RULE = hold_by(
    fate,
    name="kv-keep",
    information="N",
    description="every context is held while its tool runs",
    source="textbook",
)
