"""KV memory of a node: reservations, shared prefix blocks, eviction (docs/physics.md, "KV memory").

Every change of a reservation goes through `reserve`, every change of shared blocks through
`_share`, so that engine, node and fleet totals never part.
"""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.sizes import (
    best_prefix,
    find_prefix,
    kv_bytes,
    longest_tokens,
    offloaded_tokens,
    usable_tokens,
)
from maestro_gym.scheduling.view import is_handed_over
from maestro_gym.sim.calendar import find_event
from maestro_gym.sim.index import touch
from maestro_gym.state import BLOCK_TOKENS, State


@njit
def reserve(state: State, e: int, node: int, slot: int, amount_bytes: float) -> None:
    """Add to (or, negative, give back from) what an engine has reserved."""
    state.visible.engines[e, node, slot].kv_reserved_bytes += amount_bytes
    state.visible.nodes[e, node].kv_reserved_bytes += amount_bytes
    state.core.env[e].kv_reserved_bytes += amount_bytes
    touch(state, e, node)


@njit
def grant(state: State, e: int, node: int, amount_bytes: float) -> None:
    """Add to the address space granted on a node."""
    state.visible.nodes[e, node].kv_virtual_bytes += amount_bytes
    state.core.env[e].kv_virtual_bytes += amount_bytes


@njit
def add_weights(state: State, e: int, node: int, amount_bytes: float) -> None:
    """Add to a node's weights; where memory is elastic the KV pool shrinks by as much."""
    record = state.visible.nodes[e, node]
    record.weights_bytes += amount_bytes
    if state.visible.world.params[0].partitioned == 0:
        record.kv_pool_bytes -= amount_bytes
    state.core.env[e].weights_bytes += amount_bytes
    touch(state, e, node)


@njit
def _share(state: State, e: int, node: int, slot: int, pinned_tokens: int, cached_tokens: int) -> None:
    """Add to the pinned and to the unreferenced prefix blocks of an engine."""
    view = state.visible
    unit = kv_bytes(view, node, view.engines[e, node, slot].model)
    view.engines[e, node, slot].kv_pinned_bytes += pinned_tokens * unit
    view.engines[e, node, slot].kv_cached_bytes += cached_tokens * unit
    view.nodes[e, node].kv_cached_bytes += cached_tokens * unit
    state.core.env[e].kv_shared_bytes += (pinned_tokens + cached_tokens) * unit
    reserve(state, e, node, slot, pinned_tokens * unit)


@njit
def _pin(state: State, e: int, node: int, slot: int, entry: int, is_used: bool) -> None:
    """One more needs an entry, and the entry that it is based on: a running stage, which uses them, or a hold."""
    while entry >= 0:
        record = state.visible.prefixes[e, node, slot, entry]
        if record.refs == 0:
            own = record.tokens - record.base_tokens
            _share(state, e, node, slot, own, -own)
        record.refs += 1
        if is_used:
            record.last_used_s = state.visible.clock[e].now_s
        entry = record.base_entry


@njit
def _unpin(state: State, e: int, node: int, slot: int, entry: int, is_used: bool) -> None:
    """A running stage has done with an entry and what that is based on, or nobody holds them any longer."""
    while entry >= 0:
        record = state.visible.prefixes[e, node, slot, entry]
        record.refs -= 1
        if is_used:
            record.last_used_s = state.visible.clock[e].now_s
        if record.refs == 0:
            own = record.tokens - record.base_tokens
            _share(state, e, node, slot, -own, own)
        entry = record.base_entry


@njit
def hold_prefix(state: State, e: int, node: int, slot: int, entry: int, until_s: float) -> None:
    """An entry, and what it is based on, counts as reserved until a time, whether a stage reads it or not."""
    entries = state.visible.prefixes[e, node, slot]
    entries[entry].held_until_s = until_s
    _pin(state, e, node, slot, entry, False)
    engine = state.core.engines[e, node, slot]
    engine.held_until_s = min(engine.held_until_s, until_s)
    find_event(state, e, node)


@njit
def release_prefix(state: State, e: int, node: int, slot: int, entry: int) -> bool:
    """An entry is held no longer, and forgotten if it lay in the host's memory; False where it was not held."""
    entries = state.visible.prefixes[e, node, slot]
    if entries[entry].held_until_s == -math.inf:
        return False
    entries[entry].held_until_s = -math.inf
    _unpin(state, e, node, slot, entry, False)
    if entries[entry].dram_tokens > 0:
        _use_dram(state, e, node, slot, -entries[entry].dram_tokens)
        entries[entry].dram_tokens = 0
        _cut_entry(state, e, node, slot, entry, 0)
    until_s = math.inf
    for i in range(entries.shape[0]):
        if entries[i].held_until_s > -math.inf:
            until_s = min(until_s, entries[i].held_until_s)
    state.core.engines[e, node, slot].held_until_s = until_s
    find_event(state, e, node)
    return True


@njit
def _use_dram(state: State, e: int, node: int, slot: int, tokens: int) -> None:
    """Add to the contexts in the memory of a node's host, all GPUs' shares of them."""
    world = state.visible.world
    host = world.nodes[node].host
    unit = kv_bytes(state.visible, node, state.visible.engines[e, node, slot].model)
    state.core.host_kv_bytes[e, host] += tokens * unit * world.nodes[node].gpus


@njit
def offload_prefix(state: State, e: int, node: int, slot: int, entry: int, until_s: float) -> None:
    """Copy an entry that nothing reads or builds on to the host's memory, with what it is based on, until a time.

    Its own blocks are free at once, as the memory of an engine is that a node puts to sleep.
    """
    record = state.visible.prefixes[e, node, slot, entry]
    group, tokens = state.visible.prefix_groups[e, node, slot, entry], record.tokens
    _cut_entry(state, e, node, slot, entry, tokens)
    state.visible.prefix_groups[e, node, slot, entry] = group
    record.dram_tokens = tokens
    _use_dram(state, e, node, slot, tokens)
    hold_prefix(state, e, node, slot, entry, until_s)


@njit
def drop_prefix(state: State, e: int, node: int, slot: int, entry: int) -> None:
    """Drop an entry that nothing reads or builds on."""
    record = state.visible.prefixes[e, node, slot, entry]
    if record.refs == 0 and record.dependents == 0:
        _cut_entry(state, e, node, slot, entry, record.tokens)


@njit
def _cut_entry(state: State, e: int, node: int, slot: int, entry: int, tokens: int) -> None:
    """Drop ``tokens`` from the tail of an unreferenced entry; an entry without blocks goes."""
    record = state.visible.prefixes[e, node, slot, entry]
    tokens = min(tokens, record.tokens - record.base_tokens)
    record.tokens -= tokens
    _share(state, e, node, slot, 0, -tokens)
    if record.tokens <= record.base_tokens:
        if record.base_entry >= 0:
            state.visible.prefixes[e, node, slot, record.base_entry].dependents -= 1
        state.visible.prefix_groups[e, node, slot, entry] = -1
        record.tokens = 0
        record.base_tokens = 0
        record.base_entry = -1


@njit
def _oldest_entry(state: State, e: int, node: int, slot: int) -> int:
    """The least recently used entry of an engine that nothing reads or builds on, -1 when none."""
    best, best_s = -1, math.inf
    entries = state.visible.prefixes[e, node, slot]
    groups = state.visible.prefix_groups[e, node, slot]
    for i in range(entries.shape[0]):
        record = entries[i]
        if groups[i] >= 0 and record.refs == 0 and record.dependents == 0 and record.last_used_s < best_s:
            best, best_s = i, record.last_used_s
    return best


@njit
def evict(state: State, e: int, node: int, only_slot: int) -> None:
    """Drop cached prefixes, least recently used and tail first, until what is reserved has room.

    Args:
        state: The batch.
        e: Environment.
        node: The node.
        only_slot: The engine whose pool is meant in partitioned mode; unused where memory is elastic.
    """
    view = state.visible
    partitioned = view.world.params[0].partitioned == 1
    while True:
        if partitioned:
            engine = view.engines[e, node, only_slot]
            excess = engine.kv_reserved_bytes + engine.kv_cached_bytes - engine.kv_pool_bytes
        else:
            record = view.nodes[e, node]
            excess = record.kv_reserved_bytes + record.kv_cached_bytes - record.kv_pool_bytes
        if excess <= 0.0:
            return
        best_slot, best, best_s = -1, -1, math.inf
        for slot in range(view.engines.shape[2]):
            if view.engines[e, node, slot].kv_cached_bytes <= 0.0 or (partitioned and slot != only_slot):
                continue
            entry = _oldest_entry(state, e, node, slot)
            if entry >= 0 and view.prefixes[e, node, slot, entry].last_used_s < best_s:
                best_slot, best, best_s = slot, entry, view.prefixes[e, node, slot, entry].last_used_s
        if best < 0:
            return
        unit = kv_bytes(view, node, view.engines[e, node, best_slot].model)
        blocks = int(math.ceil(excess / (unit * BLOCK_TOKENS)))
        _cut_entry(state, e, node, best_slot, best, blocks * BLOCK_TOKENS)


@njit
def forget_prefixes(state: State, e: int, node: int, slot: int) -> None:
    """Drop every prefix of a drained engine, held ones too."""
    if state.core.engines[e, node, slot].held_until_s < math.inf:
        for entry in range(state.visible.prefixes.shape[3]):
            release_prefix(state, e, node, slot, entry)
    while True:
        entry = _oldest_entry(state, e, node, slot)
        if entry < 0:
            return
        _cut_entry(state, e, node, slot, entry, state.visible.prefixes[e, node, slot, entry].tokens)


@njit
def _new_entry(state: State, e: int, node: int, slot: int, group: int, base: int, base_tokens: int) -> int:
    """A fresh entry for a group, the least recently used one making way; -1 when all are in use."""
    entries = state.visible.prefixes[e, node, slot]
    entry = _free_entry(state, e, node, slot)
    if entry < 0:
        entry = _oldest_entry(state, e, node, slot)
        if entry < 0 or entry == base:
            return -1
        _cut_entry(state, e, node, slot, entry, entries[entry].tokens)
    record = entries[entry]
    state.visible.prefix_groups[e, node, slot, entry] = group
    record.tokens = base_tokens
    record.base_tokens = base_tokens
    record.base_entry = base
    record.refs = 0
    record.dependents = 0
    record.last_used_s = state.visible.clock[e].now_s
    if base >= 0:
        entries[base].dependents += 1
    return entry


@njit
def _free_entry(state: State, e: int, node: int, slot: int) -> int:
    """Index of a free prefix entry of an engine, -1 when all are taken."""
    groups = state.visible.prefix_groups[e, node, slot]
    for i in range(groups.shape[0]):
        if groups[i] < 0:
            return i
    return -1


@njit
def take_memory(state: State, e: int, node: int, slot: int, stage: int, tokens: int) -> None:
    """Set aside ``tokens`` (shared ones included) for a stage, reusing the longest cached prefix."""
    view = state.visible
    sequence = state.core.sequences[e, stage]
    record = view.stages[e, stage]
    entry, hit = -1, 0
    if view.world.params[0].prefix_caching == 1:
        entry = best_prefix(view, e, node, slot, stage)
        hit = usable_tokens(view, e, node, slot, stage, entry)
    if hit > 0:
        _pin(state, e, node, slot, entry, True)
    else:
        entry = -1
    unit = kv_bytes(view, node, int(record.model))
    sequence.ref_entry = entry
    sequence.hit_tokens = hit
    sequence.private_tokens = tokens - hit
    reserve(state, e, node, slot, sequence.private_tokens * unit)
    sequence.virtual_bytes = longest_tokens(view, e, node, stage) * unit
    grant(state, e, node, sequence.virtual_bytes)
    record.reserved_tokens = sequence.private_tokens
    sequence.begun_tokens = hit
    if state.core.engines[e, node, slot].held_until_s < math.inf:
        # Who brings all of its KV copies none back.
        if not is_handed_over(view, e, stage):
            sequence.begun_tokens = max(hit, offloaded_tokens(view, e, node, slot, stage))
        context = find_prefix(view, e, node, slot, int(record.ctx_group))
        if context >= 0:
            release_prefix(state, e, node, slot, context)
    record.prefix_hit_tokens = sequence.begun_tokens
    evict(state, e, node, slot)


@njit
def resize(state: State, e: int, node: int, slot: int, stage: int, tokens: int) -> None:
    """Add ``tokens`` to (or, negative, trim them from) a running stage's own reservation."""
    reserve(state, e, node, slot, tokens * kv_bytes(state.visible, node, int(state.visible.stages[e, stage].model)))
    state.core.sequences[e, stage].private_tokens += tokens
    state.visible.stages[e, stage].reserved_tokens += tokens


@njit
def give_back_memory(state: State, e: int, node: int, slot: int, stage: int) -> None:
    """Release all that a stage holds; its blocks are lost unless `keep_context` follows."""
    sequence = state.core.sequences[e, stage]
    resize(state, e, node, slot, stage, -sequence.private_tokens)
    grant(state, e, node, -sequence.virtual_bytes)
    sequence.virtual_bytes = 0.0
    _unpin(state, e, node, slot, sequence.ref_entry, True)
    sequence.ref_entry = -1
    sequence.hit_tokens = 0


@njit
def share_system_prompt(state: State, e: int, node: int, slot: int, stage: int) -> None:
    """At the end of its prefill a stage shares the blocks of its role's system prompt, if it hit nothing."""
    view = state.visible
    record = view.stages[e, stage]
    sequence = state.core.sequences[e, stage]
    tokens = int(record.sys_prefix_tokens) // BLOCK_TOKENS * BLOCK_TOKENS
    if view.world.params[0].prefix_caching == 0 or record.sys_group < 0 or tokens <= 0 or sequence.hit_tokens > 0:
        return
    if tokens > sequence.private_tokens or find_prefix(view, e, node, slot, int(record.sys_group)) >= 0:
        return
    entry = _new_entry(state, e, node, slot, int(record.sys_group), -1, 0)
    if entry < 0:
        return
    # The blocks change owner: from the stage's reservation to the pinned entry that it reads.
    resize(state, e, node, slot, stage, -tokens)
    prefix = view.prefixes[e, node, slot, entry]
    prefix.tokens = tokens
    prefix.refs = 1
    _share(state, e, node, slot, tokens, 0)
    sequence.ref_entry = entry
    sequence.hit_tokens = tokens


@njit
def keep_context(state: State, e: int, node: int, slot: int, stage: int, held_tokens: int) -> None:
    """After a stage has finished and released its memory, keep its blocks as its workflow's context.

    Args:
        state: The batch.
        e: Environment.
        node: Where it ran.
        slot: Its engine.
        stage: The stage.
        held_tokens: KV tokens that it had, prompt and output, shared ones included.
    """
    view = state.visible
    record = view.stages[e, stage]
    tokens = held_tokens // BLOCK_TOKENS * BLOCK_TOKENS
    if view.world.params[0].prefix_caching == 0 or record.ctx_group < 0 or tokens <= 0:
        return
    entry = find_prefix(view, e, node, slot, int(record.ctx_group))
    if entry >= 0 and view.prefixes[e, node, slot, entry].dram_tokens > 0:
        release_prefix(state, e, node, slot, entry)
        entry = -1
    if entry < 0:
        base, base_tokens = find_prefix(view, e, node, slot, int(record.sys_group)), 0
        if base >= 0:
            base_tokens = min(view.prefixes[e, node, slot, base].tokens, int(record.sys_prefix_tokens))
            base_tokens = base_tokens // BLOCK_TOKENS * BLOCK_TOKENS
            if base_tokens < view.prefixes[e, node, slot, base].tokens or base_tokens >= tokens:
                base, base_tokens = -1, 0
        entry = _new_entry(state, e, node, slot, int(record.ctx_group), base, base_tokens)
        if entry < 0:
            return
    prefix = view.prefixes[e, node, slot, entry]
    grown = tokens - prefix.tokens
    if grown > 0:
        prefix.tokens = tokens
        if prefix.refs > 0:
            _share(state, e, node, slot, grown, 0)
        else:
            _share(state, e, node, slot, 0, grown)
    prefix.last_used_s = view.clock[e].now_s
    evict(state, e, node, slot)
