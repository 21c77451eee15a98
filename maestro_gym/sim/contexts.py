"""What becomes of a context while its tool runs: left in the cache, held, offloaded or dropped (docs/tools.md)."""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import DROP, HOLD, LEAVE, OFFLOAD, held_s
from maestro_gym.scheduling.sizes import find_prefix, kv_bytes
from maestro_gym.sim.calendar import ask_node
from maestro_gym.sim.memory import drop_prefix, hold_prefix, offload_prefix, release_prefix
from maestro_gym.sim.residency import dram_free_bytes
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
    """Prefix entry of a stage's context on the engine where it ran, -1 when none is there, or it is offloaded."""
    view = state.visible
    record = view.stages[e, stage]
    slot = int(view.slot_of[e, record.node, record.model])
    if slot < 0 or view.engines[e, record.node, slot].status != ENGINE_AWAKE:
        return -1
    entry = find_prefix(view, e, int(record.node), slot, int(record.ctx_group))
    if entry >= 0 and view.prefixes[e, record.node, slot, entry].dram_tokens > 0:
        return -1
    return entry


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
    now_s, longest_s = view.clock[e].now_s, view.world.params[0].context_hold_max_s
    if action == DROP:
        drop_prefix(state, e, node, slot, entry)
    elif action == OFFLOAD:
        if _can_offload(state, e, node, slot, entry):
            offload_prefix(state, e, node, slot, entry, now_s + longest_s)
    elif action > HOLD:
        hold_prefix(state, e, node, slot, entry, now_s + min(held_s(action), longest_s))
    return True


@njit
def _can_offload(state: State, e: int, node: int, slot: int, entry: int) -> bool:
    """Whether nothing reads an entry or builds on it, and the host has memory for it; no weights make way."""
    view = state.visible
    record = view.prefixes[e, node, slot, entry]
    unit = kv_bytes(view, node, view.engines[e, node, slot].model)
    need_bytes = record.tokens * unit * view.world.nodes[node].gpus
    return record.refs == 0 and record.dependents == 0 and dram_free_bytes(state, e, node) >= need_bytes


@njit
def let_go(state: State, e: int, node: int, slot: int, until_s: float) -> None:
    """Hold no longer what an engine was to hold until now; its node may have room for somebody."""
    entries = state.visible.prefixes[e, node, slot]
    for entry in range(entries.shape[0]):
        if -math.inf < entries[entry].held_until_s <= until_s:
            release_prefix(state, e, node, slot, entry)
    ask_node(state, e, node)
