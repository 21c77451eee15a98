"""What becomes of a context while its tool runs: held, left in the cache, or dropped.

Conventions (docs/tools.md): asked at the end of the instant in which a stage that calls a tool has its last token, in
the order of finishing, where its context is in the cache then. What is held counts as read until its time is over,
the next stage of its group is admitted on the engine, or the engine gives way; then it is cached, as old as its
last use.
"""

from __future__ import annotations

import math

from tests.reference.inputs import Stage
from tests.reference.kv_memory import find_prefix
from tests.reference.machine import Engine, Node, Prefix, State


def note_boundary(state: State, stage: Stage) -> None:
    """A stage has its last token."""
    limits = state.fleet.limits
    asked = state.decides_contexts and limits["context_hold_max_s"] > 0 and limits["prefix_caching"]
    if asked and stage.calls_tool and stage.children:
        state.undecided.append(stage)


def place_of(state: State, stage: Stage) -> tuple[Engine, Prefix] | None:
    """Where the context of a stage that is done lies."""
    engine = state.nodes[stage.node].engine_of(stage.model)
    prefix = None if engine is None or engine.status != "awake" else find_prefix(engine, stage.ctx_group)
    return None if engine is None or prefix is None else (engine, prefix)


def next_undecided(state: State) -> Stage | None:
    """The stage whose context is to be decided on."""
    while state.undecided:
        if place_of(state, state.undecided[0]) is not None:
            return state.undecided[0]
        state.undecided.pop(0)
    return None


def decide(state: State, kind: str, hold_s: float) -> None:
    """Leave, drop or hold the context."""
    place = place_of(state, state.undecided.pop(0))
    assert place is not None
    engine, prefix = place
    prefix.held_until_s = -math.inf
    if kind == "drop":
        if not engine.is_read(prefix) and not engine.is_base(prefix):
            engine.prefixes[engine.prefixes.index(prefix)] = None
    elif kind == "hold" and hold_s > 0:
        prefix.held_until_s = state.now_s + min(hold_s, state.fleet.limits["context_hold_max_s"])


def let_go(node: Node, engine: Engine, until_s: float) -> None:
    """Hold no longer what was to be held until now."""
    for prefix in engine.held():
        if prefix.held_until_s <= until_s:
            prefix.held_until_s = -math.inf
            node.due = True
