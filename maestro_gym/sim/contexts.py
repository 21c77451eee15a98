"""What becomes of a context while its tool runs: left in the cache, held, or dropped (docs/tools.md)."""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import DROP, HOLD, LEAVE, held_s
from maestro_gym.scheduling.sizes import find_prefix
from maestro_gym.sim.calendar import ask_node
from maestro_gym.sim.memory import drop_prefix, hold_prefix, release_prefix
from maestro_gym.state import ENGINE_AWAKE, State


@njit
def note_boundary(state: State, e: int, stage: int) -> None:
    """A stage that calls a tool has its last token: its node rule is asked what becomes of its context."""
    env = state.core.env[e]
    params = state.visible.world.params[0]
    truth = state.hidden.truth[e, stage]
    if env.decides_contexts == 0 or params.context_hold_max_s <= 0.0 or params.prefix_caching == 0:
        return
    if truth.tool_intent == 0 or truth.num_children == 0:
        return
    if env.context_last < 0:
        env.context_first = stage
    else:
        state.core.context_next[e, env.context_last] = stage
    env.context_last = stage


@njit
def _entry_of(state: State, e: int, stage: int) -> int:
    """Prefix entry of a stage's context on the engine where it ran, -1 when there is none."""
    view = state.visible
    record = view.stages[e, stage]
    slot = int(view.slot_of[e, record.node, record.model])
    if slot < 0 or view.engines[e, record.node, slot].status != ENGINE_AWAKE:
        return -1
    return find_prefix(view, e, int(record.node), slot, int(record.ctx_group))


@njit
def undecided_context(state: State, e: int) -> int:
    """The first stage whose context is there and not yet decided on, -1 when there is none."""
    env = state.core.env[e]
    while env.context_first >= 0:
        stage = int(env.context_first)
        if _entry_of(state, e, stage) >= 0:
            return stage
        _strike(state, e)
    return -1


@njit
def _strike(state: State, e: int) -> None:
    """The first of the stages to decide on has been decided on."""
    env = state.core.env[e]
    stage = int(env.context_first)
    env.context_first = state.core.context_next[e, stage]
    state.core.context_next[e, stage] = -1
    if env.context_first < 0:
        env.context_last = -1


@njit
def apply_context(state: State, e: int, action: int) -> bool:
    """Do with the pending stage's context what a code of ``scheduling.actions`` says; False when none does."""
    if action < LEAVE:
        return False
    view = state.visible
    stage = int(view.clock[e].place)
    record = view.stages[e, stage]
    node = int(record.node)
    slot, entry = int(view.slot_of[e, node, record.model]), _entry_of(state, e, stage)
    _strike(state, e)
    release_prefix(state, e, node, slot, entry)
    if action == DROP:
        drop_prefix(state, e, node, slot, entry)
    elif action > HOLD:
        seconds = min(held_s(action), view.world.params[0].context_hold_max_s)
        hold_prefix(state, e, node, slot, entry, view.clock[e].now_s + seconds)
    return True


@njit
def let_go(state: State, e: int, node: int, slot: int, until_s: float) -> None:
    """Hold no longer what an engine was to hold until now; its node may have room for somebody."""
    entries = state.visible.prefixes[e, node, slot]
    for entry in range(entries.shape[0]):
        if -math.inf < entries[entry].held_until_s <= until_s:
            release_prefix(state, e, node, slot, entry)
    ask_node(state, e, node)
