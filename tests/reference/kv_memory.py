"""KV memory: what an admission sets aside, which prefixes are reused, shared, kept and dropped.

Conventions beside the formulas (docs/physics.md, "KV memory"):

- Everything is counted in whole blocks of 16 tokens. The last generated token is never computed,
  so a stage that is done holds prompt + output - 1 tokens.
- The longer of the two reusable prefixes is read, the context at equal length; at least one block.
- The first stage of a role that read no prefix gives the blocks of its system prompt to a shared
  prefix at the end of its prefill, if the engine has none yet.
- A finished stage leaves all its whole blocks as its workflow's context, which may be longer than
  what a sibling left before; then cached prefixes are dropped until everything has room.
- A context that is held counts as read until its time is over or the next stage of its group is admitted there.
- Dropping takes blocks off the tail of the least recently used prefix that nobody reads and none is
  based on, no more blocks than needed. Memory of an idle or busy engine alike; where memory is
  partitioned, only the engine's own.
"""

from __future__ import annotations

import math

from tests.reference.inputs import BLOCK, Stage, down_to_blocks, up_to_blocks
from tests.reference.machine import Engine, Node, Prefix, Sequence, State

RESERVE_LEVELS = ("adaptive", "q90", "max_output", "prompt")


def longest_tokens(node: Node, stage: Stage) -> int:
    """Tokens that a stage may come to hold on a node: it leaves one that only prefills with its next token."""
    return stage.prompt + (stage.generated + 1 if node.spec.duty == "prefill" else stage.max_output)


def reserve_tokens(node: Node, stage: Stage, level: int) -> int:
    """Tokens that an admission sets aside, shared ones included: never less than what is known to be needed."""
    known = stage.prompt + stage.generated + 1
    most = longest_tokens(node, stage)
    wanted = {
        "adaptive": math.ceil((stage.prompt + stage.q50) * (1 + node.rho)),
        "q90": stage.prompt + math.ceil(stage.q90),
        "max_output": most,
        "prompt": known,
    }[RESERVE_LEVELS[level]]
    return up_to_blocks(max(known, min(wanted, most)))


def find_prefix(engine: Engine, group: int) -> Prefix | None:
    """The prefix of a group."""
    return next((prefix for prefix in engine.cached() if prefix.group == group >= 0), None)


def reusable(state: State, engine: Engine, stage: Stage) -> tuple[Prefix | None, int]:
    """The prefix that a stage would read in an engine, and how many tokens of it: one is always computed."""
    if not state.fleet.limits["prefix_caching"]:
        return None, 0
    best, best_tokens, limit = None, 0, 0
    for group, tokens in ((stage.ctx_group, stage.ctx_tokens), (stage.sys_group, stage.sys_tokens)):
        prefix = find_prefix(engine, group)
        if prefix is not None and min(prefix.tokens, tokens) > best_tokens:
            best, best_tokens, limit = prefix, min(prefix.tokens, tokens), tokens
    if best is None or best_tokens < BLOCK:
        return None, 0
    return best, down_to_blocks(min(best.tokens, limit, stage.prompt - 1))


def admit_bytes(state: State, node: Node, stage: Stage, level: int) -> float:
    """By how much an admission would raise what is reserved: own blocks, and blocks that it pins."""
    engine = node.engine_of(stage.model)
    assert engine is not None
    tokens = reserve_tokens(node, stage, level)
    prefix, hit = reusable(state, engine, stage)
    tokens -= hit
    while prefix is not None and hit > 0:
        if not engine.is_read(prefix):
            tokens += prefix.own_tokens
        prefix = prefix.base
    return tokens * engine.unit


def admit(state: State, node: Node, stage: Stage, level: int, delay_s: float) -> Sequence:
    """Take a stage into its engine's batch."""
    engine = node.engine_of(stage.model)
    assert engine is not None
    prefix, hit = reusable(state, engine, stage)
    if hit == 0:
        prefix = None
    # What another node has prefilled is there.
    brought, stage.brought = stage.brought, 0
    context = find_prefix(engine, stage.ctx_group)
    begun = hit
    if context is not None and not brought:
        begun = max(hit, down_to_blocks(min(context.dram_tokens, stage.ctx_tokens, stage.prompt - 1)))
    copied_back_s = copy_s(state, node, (begun - hit) * engine.unit)
    state.count("contexts copied back", begun > hit)
    sequence = Sequence(
        stage=stage,
        target=brought or stage.prompt + stage.generated,
        hit=hit,
        private=reserve_tokens(node, stage, level) - hit,
        prefix=prefix,
        start_s=state.now_s + delay_s + copied_back_s + state.fleet.limits["dispatch_s"],
        admitted_s=state.now_s,
        computed=brought or begun,
        begun=begun,
        most=longest_tokens(node, stage),
        joining=bool(state.fleet.limits["schedule_ahead"]),
    )
    engine.batch.append(sequence)
    touch(state, prefix)
    if context is not None:
        let_go_of(engine, context)
    make_fit(node, engine)
    if brought:
        share_system_prompt(state, engine, sequence)
    stage.prefix_hit = begun
    return sequence


def let_go_of(engine: Engine, prefix: Prefix) -> None:
    """Hold a prefix no longer; one that is in the host's memory is gone."""
    prefix.held_until_s = -math.inf
    if prefix.dram_tokens > 0:
        engine.prefixes[engine.prefixes.index(prefix)] = None


def copy_s(state: State, node: Node, num_bytes: float) -> float:
    """Seconds to copy bytes of every GPU between HBM and host memory, all GPUs of the node at once."""
    host = state.fleet.hosts[node.spec.host]
    return num_bytes / min(host.pcie_gpu_bytes_per_s, host.pcie_host_bytes_per_s / node.spec.gpus)


def touch(state: State, prefix: Prefix | None) -> None:
    """A prefix is used, and so is what it is based on."""
    while prefix is not None:
        prefix.used_s = state.now_s
        prefix = prefix.base


def leave(state: State, engine: Engine, sequence: Sequence) -> None:
    """Take a sequence out of the batch; all that it holds is free."""
    engine.batch.remove(sequence)
    engine.used_s = state.now_s
    touch(state, sequence.prefix)


def share_system_prompt(state: State, engine: Engine, sequence: Sequence) -> None:
    """At the end of a prefill that read no prefix, its system prompt becomes a shared prefix, which it reads."""
    stage = sequence.stage
    tokens = down_to_blocks(stage.sys_tokens)
    if not state.fleet.limits["prefix_caching"] or stage.sys_group < 0 or tokens == 0 or sequence.hit > 0:
        return
    if tokens > sequence.private or find_prefix(engine, stage.sys_group) is not None:
        return
    prefix = add_prefix(state, engine, Prefix(stage.sys_group, 0, None, 0, state.now_s))
    if prefix is not None:
        prefix.tokens = tokens
        sequence.private -= tokens
        sequence.hit = tokens
        sequence.prefix = prefix


def keep_context(state: State, node: Node, engine: Engine, stage: Stage, held: int) -> None:
    """The blocks of a stage that is done stay as its workflow's context."""
    tokens = down_to_blocks(held)
    if not state.fleet.limits["prefix_caching"] or stage.ctx_group < 0 or tokens == 0:
        return
    prefix = find_prefix(engine, stage.ctx_group)
    if prefix is not None and prefix.dram_tokens > 0:
        let_go_of(engine, prefix)
        prefix = None
    if prefix is None:
        base = find_prefix(engine, stage.sys_group)
        if base is not None and (base.tokens > stage.sys_tokens or base.tokens >= tokens):
            base = None
        base_tokens = base.tokens if base is not None else 0
        prefix = add_prefix(state, engine, Prefix(stage.ctx_group, base_tokens, base, base_tokens, state.now_s))
        if prefix is None:
            return
    prefix.tokens = max(prefix.tokens, tokens)
    prefix.used_s = state.now_s
    make_fit(node, engine)


def add_prefix(state: State, engine: Engine, prefix: Prefix) -> Prefix | None:
    """Put a new prefix into the table; when it is full the oldest goes, None if that cannot be."""
    if None not in engine.prefixes:
        oldest = oldest_unread(engine)
        if oldest is None or oldest is prefix.base:
            return None
        engine.prefixes[engine.prefixes.index(oldest)] = None
    engine.prefixes[engine.prefixes.index(None)] = prefix
    return prefix


def oldest_unread(engine: Engine) -> Prefix | None:
    """The least recently used prefix that nobody reads or builds on."""
    free = [prefix for prefix in engine.cached() if not engine.is_read(prefix) and not engine.is_base(prefix)]
    return min(free, key=lambda prefix: prefix.used_s, default=None)


def make_fit(node: Node, engine: Engine) -> None:
    """Drop cached prefixes, oldest first and tail first, until all that is reserved has room."""
    group = [engine] if node.partitioned else node.engines()
    while True:
        pool = engine.pool_bytes if node.partitioned else node.pool_bytes
        excess = sum(e.reserved_bytes + e.cached_bytes for e in group) - pool
        if excess <= 0:
            return
        offers = [(oldest, e) for e in group if e.cached_bytes > 0 and (oldest := oldest_unread(e)) is not None]
        if not offers:
            return
        prefix, owner = min(offers, key=lambda offer: offer[0].used_s)
        blocks = math.ceil(excess / (owner.unit * BLOCK))
        prefix.tokens -= min(blocks * BLOCK, prefix.own_tokens)
        if prefix.own_tokens == 0:
            owner.prefixes[owner.prefixes.index(prefix)] = None
