"""No context outlives its call while a tool runs; what follows computes it again (engines without a prefix cache)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import DROP
from maestro_gym.scheduling.rules import hold_by
from maestro_gym.state import View


@njit
def fate(view: View, e: int, stage: int, node: int) -> int:
    """It goes."""
    return DROP


RULE = hold_by(
    fate,
    name="kv-drop",
    information="N",
    description="every context goes when a tool is called",
    source="textbook",
)
