"""Tools with finite places: who waits, whose call runs, and when a rule must say who is next (docs/tools.md)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.sim.heap import push
from maestro_gym.state import STAGE_GAP, STAGE_TOOL, State


@njit
def run_tool(state: State, e: int, stage: int) -> None:
    """The tool of a stage runs, for as long as its gap."""
    state.visible.stages[e, stage].phase = STAGE_GAP
    push(state, e, state.visible.clock[e].now_s + state.hidden.truth[e, stage].tool_gap_s, stage)


@njit
def ask_for_place(state: State, e: int, stage: int) -> None:
    """A stage that calls a tool with finite places waits for one, behind those that asked before."""
    view = state.visible
    record = view.stages[e, stage]
    record.phase = STAGE_TOOL
    tool = view.tools[e, record.tool]
    if tool.queued == 0:
        tool.first = stage
    else:
        view.tool_next[e, tool.last] = stage
    tool.last = stage
    tool.queued += 1
    state.core.env[e].tools_due = 1


@njit
def give_place(state: State, e: int, stage: int) -> None:
    """A stage that waits for its tool gets a free place of it."""
    view = state.visible
    record = view.stages[e, stage]
    tool = view.tools[e, record.tool]
    before, at = -1, int(tool.first)
    while at != stage:
        before, at = at, int(view.tool_next[e, at])
    after = int(view.tool_next[e, stage])
    if before < 0:
        tool.first = after
    else:
        view.tool_next[e, before] = after
    if after < 0:
        tool.last = before
    view.tool_next[e, stage] = -1
    tool.queued -= 1
    tool.busy += 1
    record.tool_started_s = view.clock[e].now_s
    run_tool(state, e, stage)


@njit
def return_place(state: State, e: int, stage: int) -> None:
    """A stage's tool has answered: its place is free."""
    view = state.visible
    view.tools[e, view.stages[e, stage].tool].busy -= 1
    state.core.env[e].tools_due = 1


@njit
def contested_tool(state: State, e: int) -> int:
    """Give free places to those that wait for them, as far as nobody has to choose.

    Args:
        state: The batch.
        e: Environment.

    Returns:
        A type of tools with fewer free places than calls that wait, where the policy has an order for them; -1 when
        there is none: without an order the first that asked is the first.
    """
    env = state.core.env[e]
    if env.tools_due == 0:
        return -1
    view = state.visible
    for i in range(view.tools.shape[1]):
        tool = view.tools[e, i]
        free = view.world.tools[i].places - tool.busy
        while tool.queued > 0 and free > 0 and (env.orders_tools == 0 or tool.queued <= free):
            give_place(state, e, int(tool.first))
            free -= 1
        if tool.queued > 0 and free > 0:
            return i
    env.tools_due = 0
    return -1


@njit
def apply_tool(state: State, e: int, stage: int) -> bool:
    """Give a place of the pending tool to a stage that waits for it; False when that is not legal."""
    view = state.visible
    if stage < 0 or stage >= view.stages.shape[1] or view.stages[e, stage].phase != STAGE_TOOL:
        return False
    if view.stages[e, stage].tool != view.clock[e].place:
        return False
    give_place(state, e, stage)
    return True
