"""The lists beside the global queue, so that nobody walks it: ready stages by model, and those that can be passed over.

A model's list is cut into blocks, so that an order passes over those that hold nothing sooner (`scheduling.blocks`).
A stage can be passed over once, and only when its workflow has begun (Maestro F10). All lists are in the order of the
queue, which is that of ``ready_rank``.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.blocks import MEMBERS, forget
from maestro_gym.state import STAGE_READY, State


@njit
def enlist(state: State, e: int, stage: int) -> None:
    """A stage is the last of the global queue from now on."""
    view = state.visible
    record = view.stages[e, stage]
    clock = view.clock[e]
    view.ready_rank[e, stage] = clock.joined
    clock.joined += 1
    last = view.ready_last[e, record.model]
    view.ready_previous[e, stage] = last
    view.ready_next[e, stage] = -1
    if last >= 0:
        view.ready_next[e, last] = stage
    else:
        view.ready_first[e, record.model] = stage
    view.ready_last[e, record.model] = stage
    _join_block(state, e, stage, last)
    _expose(state, e, stage)


@njit
def strike(state: State, e: int, stage: int) -> None:
    """A stage is no longer in the global queue."""
    view = state.visible
    model = view.stages[e, stage].model
    before, after = view.ready_previous[e, stage], view.ready_next[e, stage]
    if before >= 0:
        view.ready_next[e, before] = after
    else:
        view.ready_first[e, model] = after
    if after >= 0:
        view.ready_previous[e, after] = before
    else:
        view.ready_last[e, model] = before
    _leave_block(state, e, stage, after)
    _hide(state, e, stage)


@njit
def tell_siblings(state: State, e: int, workflow: int) -> None:
    """A workflow has finished a stage: those that are ready can be passed over, and their keys may be others now."""
    view = state.visible
    truth = state.hidden.workflows[e, workflow]
    for stage in range(truth.first_stage, truth.first_stage + truth.num_stages):
        record = view.stages[e, stage]
        if record.phase == STAGE_READY and record.workflow == workflow:
            forget(view, e, stage)
            if view.workflows[e, workflow].stages_done == 1:
                _expose(state, e, stage)


@njit
def pass_over(state: State, e: int, sent: int) -> None:
    """Workflows that had begun are preempted at their boundary: a stage of another one, behind theirs, goes first."""
    view = state.visible
    workflow = view.stages[e, sent].workflow
    rank = view.ready_rank[e, sent]
    stage = int(state.core.env[e].begun_first)
    while stage >= 0 and view.ready_rank[e, stage] < rank:
        after = int(state.core.begun_next[e, stage])
        if view.stages[e, stage].workflow != workflow:
            state.core.sequences[e, stage].passed_over = 1
            view.workflows[e, view.stages[e, stage].workflow].last_preempted_s = view.clock[e].now_s
            state.core.counters[e].boundary_preemptions += 1
            _hide(state, e, stage)
        stage = after


@njit
def position_of(state: State, e: int, stage: int) -> int:
    """Position of a ready stage in the global queue, -1 when it is not there."""
    view = state.visible
    if stage < 0 or stage >= view.stages.shape[1] or view.clock[e].global_len == 0:
        return -1
    low, high = 0, int(view.clock[e].global_len) - 1
    rank = view.ready_rank[e, stage]
    while low < high:
        middle = (low + high) >> 1
        if view.ready_rank[e, view.global_queue[e, middle]] < rank:
            low = middle + 1
        else:
            high = middle
    return low if view.global_queue[e, low] == stage else -1


@njit
def _expose(state: State, e: int, stage: int) -> None:
    """Put a stage in its place among those that can be passed over, if it can."""
    view, core = state.visible, state.core
    if core.sequences[e, stage].passed_over == 1 or view.workflows[e, view.stages[e, stage].workflow].stages_done == 0:
        return
    env = core.env[e]
    rank = view.ready_rank[e, stage]
    before = int(env.begun_last)
    while before >= 0 and view.ready_rank[e, before] > rank:
        before = int(core.begun_previous[e, before])
    after = int(env.begun_first) if before < 0 else int(core.begun_next[e, before])
    core.begun_previous[e, stage] = before
    core.begun_next[e, stage] = after
    _link(state, e, before, stage)
    _link(state, e, stage, after)


@njit
def _hide(state: State, e: int, stage: int) -> None:
    """Take a stage out of the list of those that can be passed over, if it is in it."""
    core = state.core
    before, after = int(core.begun_previous[e, stage]), int(core.begun_next[e, stage])
    if before < 0 and core.env[e].begun_first != stage:
        return
    _link(state, e, before, after)
    core.begun_previous[e, stage] = -1
    core.begun_next[e, stage] = -1


@njit
def _link(state: State, e: int, before: int, after: int) -> None:
    """Two stages follow one another in that list; -1 stands for its ends."""
    if before >= 0:
        state.core.begun_next[e, before] = after
    else:
        state.core.env[e].begun_first = after
    if after >= 0:
        state.core.begun_previous[e, after] = before
    else:
        state.core.env[e].begun_last = before


@njit
def _join_block(state: State, e: int, stage: int, last: int) -> None:
    """A stage joins the block of the one before it, or begins one."""
    view = state.visible
    clock = view.clock[e]
    previous = int(view.ready_block[e, last]) if last >= 0 else -1
    block = previous
    if previous < 0 or view.blocks[e, previous].members == MEMBERS:
        if clock.blocks_free >= 0:
            block = int(clock.blocks_free)
            clock.blocks_free = view.blocks[e, block].next
        else:
            block = int(clock.blocks_used)
            clock.blocks_used += 1
        view.blocks[e, block].first = stage
        view.blocks[e, block].previous = previous
        view.blocks[e, block].next = -1
        if previous >= 0:
            view.blocks[e, previous].next = block
    view.blocks[e, block].members += 1
    view.ready_block[e, stage] = block
    forget(view, e, stage)


@njit
def _leave_block(state: State, e: int, stage: int, after: int) -> None:
    """A stage leaves its block, which ends with its last; what is noted of a block stays a bound without the stage."""
    view = state.visible
    block = int(view.ready_block[e, stage])
    record = view.blocks[e, block]
    record.members -= 1
    if record.members > 0:
        if record.first == stage:
            record.first = after
        return
    if record.previous >= 0:
        view.blocks[e, record.previous].next = record.next
    if record.next >= 0:
        view.blocks[e, record.next].previous = record.previous
    record.next = view.clock[e].blocks_free
    view.clock[e].blocks_free = block
