"""No context outlives its call while a tool runs; what follows computes it again (engines without a prefix cache)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import hold_by
from maestro_gym.state import View


@njit
def hold_s(view: View, e: int, stage: int, node: int) -> float:
    """Below 0: not at all [s]."""
    return -1.0


RULE = hold_by(
    hold_s,
    name="kv-drop",
    information="N",
    description="every context goes when a tool is called",
    source="textbook",
)
