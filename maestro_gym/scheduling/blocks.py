"""Blocks of ready stages: the ready stages of a model lie in blocks of a few that follow one another.

What an order notes of a block (`baselines/late_binding/bounds.py`) holds while its version does.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.state import View

MEMBERS: Final = 32
"""Most stages of a block: so many keys are compared when one is looked at; there are so many times fewer blocks."""


@njit
def forget(view: View, e: int, stage: int) -> None:
    """What was noted of the block of a ready stage is a bound no longer."""
    view.blocks[e, view.ready_block[e, stage]].version += 1
