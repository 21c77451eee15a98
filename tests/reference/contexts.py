"""What becomes of a context while its tool runs: held, left in the cache, offloaded or dropped.

Conventions (docs/tools.md): asked at the end of the instant in which a stage that calls a tool has its last token, in
the order of finishing, where its context is in the cache then. What is held counts as read until its time is over,
the next stage of its group is admitted on the engine, or the engine gives way; then it is cached, as old as its
last use.

An offloaded context is a held one of no blocks: it is in the host's memory with all its tokens, on all GPUs, as far as
nobody reads it and the host has room beside its weights. When it is held no longer it is gone; the stage whose
admission ends that has its tokens after a copy over PCIe that shares nothing, in blocks of its own.
"""

from __future__ import annotations

from tests.reference.choosing import Action
from tests.reference.inputs import Stage
from tests.reference.kv_memory import find_prefix, let_go_of
from tests.reference.machine import Engine, Node, Prefix, State
from tests.reference.residency import free_dram_bytes

HOLDS_MS = (300, 2000, 60_000)
"""For how long a policy of the test may hold a context [ms]."""


def context_actions() -> list[Action]:
    """What may become of a context."""
    return [("leave", 0, 0), ("drop", 0, 0), ("offload", 0, 0), *(("hold", ms, 0) for ms in HOLDS_MS)]


def note_boundary(state: State, stage: Stage) -> None:
    """A stage has its last token."""
    limits = state.fleet.limits
    asked = state.decides_contexts and limits["context_hold_max_s"] > 0 and limits["prefix_caching"]
    if asked and stage.calls_tool and stage.children:
        state.undecided.append(stage)


def place_of(state: State, stage: Stage) -> tuple[Engine, Prefix] | None:
    """Where the context of a stage that is done lies, if it is on the GPU."""
    engine = state.nodes[stage.node].engine_of(stage.model)
    prefix = None if engine is None or engine.status != "awake" else find_prefix(engine, stage.ctx_group)
    return None if engine is None or prefix is None or prefix.dram_tokens > 0 else (engine, prefix)


def next_undecided(state: State) -> Stage | None:
    """The stage whose context is to be decided on."""
    while state.undecided:
        if place_of(state, state.undecided[0]) is not None:
            return state.undecided[0]
        state.undecided.pop(0)
    return None


def decide(state: State, kind: str, hold_s: float) -> None:
    """Leave, drop, offload or hold the context."""
    place = place_of(state, state.undecided.pop(0))
    assert place is not None
    engine, prefix = place
    node = next(node for node in state.nodes if engine in node.engines())
    limit_s = state.now_s + state.fleet.limits["context_hold_max_s"]
    let_go_of(engine, prefix)
    unused = not engine.is_read(prefix) and not engine.is_base(prefix)
    if kind == "drop" and unused:
        engine.prefixes[engine.prefixes.index(prefix)] = None
        state.count("contexts dropped")
    elif kind == "offload" and unused:
        if free_dram_bytes(state, node) >= prefix.tokens * engine.unit * node.spec.gpus:
            prefix.dram_tokens, prefix.tokens, prefix.base, prefix.base_tokens = prefix.tokens, 0, None, 0
            prefix.held_until_s = limit_s
            state.count("contexts offloaded")
    elif kind == "hold" and hold_s > 0:
        prefix.held_until_s = min(state.now_s + hold_s, limit_s)
        state.count("contexts held")


def let_go(node: Node, engine: Engine, until_s: float) -> None:
    """Hold no longer what was to be held until now."""
    for prefix in engine.held():
        if prefix.held_until_s <= until_s:
            let_go_of(engine, prefix)
            node.due = True
