"""Readers of the view for tools with finite places and for contexts across their calls (docs/tools.md)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.tiers import TIER_CONTEXT, TIER_GLOBAL, TIER_NODE, TIER_TOOL
from maestro_gym.scheduling.view import prompt_tokens
from maestro_gym.state import View


@njit
def rule_tier(tier: int) -> int:
    """The tier whose rule, or agent, answers a decision of TIER_*."""
    if tier == TIER_TOOL:
        return TIER_GLOBAL
    return TIER_NODE if tier == TIER_CONTEXT else tier


@njit
def context_tokens(view: View, e: int, stage: int) -> float:
    """What a stage leaves of its conversation: its prompt and what it has generated."""
    return prompt_tokens(view, e, stage) + float(view.stages[e, stage].generated_tokens)


@njit
def tool_of_role(view: View, role: int) -> int:
    """Type of the tools that a role calls, -1 for one without bounds."""
    tool_of = view.world.tool_of
    return int(tool_of[role]) if 0 <= role < tool_of.shape[0] else -1


@njit
def tool_of_stage(view: View, e: int, stage: int) -> int:
    """Type of the tools that a stage calls if it calls one, -1 for one without bounds."""
    return int(view.stages[e, stage].tool)


@njit
def is_tool_decision(view: View, e: int) -> bool:
    """Whether the global rule is asked whose call gets a free place of a tool, and not what to send."""
    return int(view.clock[e].tier) == TIER_TOOL


@njit
def tool_to_give(view: View, e: int) -> int:
    """The type of tools of such a decision."""
    return int(view.clock[e].place)


@njit
def num_tool_places(view: View, tool: int) -> int:
    """Calls that a type of tools serves at once."""
    return int(view.world.tools[tool].places)


@njit
def num_tool_busy(view: View, e: int, tool: int) -> int:
    """Places of it that calls occupy."""
    return int(view.tools[e, tool].busy)


@njit
def num_tool_queued(view: View, e: int, tool: int) -> int:
    """Stages that wait for a place of it."""
    return int(view.tools[e, tool].queued)


@njit
def first_at_tool(view: View, e: int, tool: int) -> int:
    """The stage that asked first among those that wait for a place of it, -1 when none does."""
    return int(view.tools[e, tool].first)


@njit
def next_at_tool(view: View, e: int, stage: int) -> int:
    """The stage that asked next for a place of the same tool, -1 when it was the last."""
    return int(view.tool_next[e, stage])


@njit
def is_context_decision(view: View, e: int) -> bool:
    """Whether the node rule is asked what becomes of a context while its tool runs, and not what to admit."""
    return int(view.clock[e].tier) == TIER_CONTEXT


@njit
def stage_of_context(view: View, e: int) -> int:
    """The stage of such a decision: it ran where its context lies."""
    return int(view.clock[e].place)
