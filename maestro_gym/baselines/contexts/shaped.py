"""What becomes of contexts in the shaped family: the large ones are offloaded, others are held; by default all stay.

offloaded                          from offload_context tokens on, where that is above 0
held for hold_context seconds      else, where that is above 0
left in the cache                  else
"""

from __future__ import annotations

from maestro_gym.baselines.shaped.numbers import HOLD_CONTEXT, OFFLOAD_CONTEXT
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import OFFLOAD, hold_code
from maestro_gym.scheduling.rules import hold_by
from maestro_gym.scheduling.tool_view import context_tokens
from maestro_gym.scheduling.view import number
from maestro_gym.state import View


@njit
def fate(view: View, e: int, stage: int, node: int) -> int:
    """By the size of the context."""
    if 0.0 < number(view, e, OFFLOAD_CONTEXT) <= context_tokens(view, e, stage):
        return OFFLOAD
    return hold_code(number(view, e, HOLD_CONTEXT))


RULE = hold_by(
    fate,
    name="shaped",
    information="N",
    description="large contexts are offloaded and others held while a tool runs, by default none",
    source="this project",
    choice="a size and a time, searched with the other numbers",
    rival=False,
)
