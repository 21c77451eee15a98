"""Every context goes to its host's memory while its tool runs, and comes back over PCIe (LMCache, vLLM's connector)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import OFFLOAD
from maestro_gym.scheduling.rules import hold_by
from maestro_gym.state import View


@njit
def fate(view: View, e: int, stage: int, node: int) -> int:
    """It goes to the host."""
    return OFFLOAD


RULE = hold_by(
    fate,
    name="kv-offload",
    information="N",
    description="every context goes to its host's memory when a tool is called",
    source="textbook; LMCache and vLLM's offloading connector (V-2nd)",
)
