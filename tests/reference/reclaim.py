"""Making room: what can give way, which of it does, and growth of a reservation.

Conventions beside the formulas (docs/physics.md, "Making room"):

- Cached prefixes are no reclaim action, they count as free. What is offered, slot by slot: to end a
  sleeper (for a load only); to put an idle engine to sleep (elastic, or for a load); to trim the
  stage of an engine with the largest surplus, the first at equal surplus; in a growth, to pause the
  last admitted stage of an engine that is between two steps. In partitioned mode an engine can only
  trim and pause its own stages.
- The surplus of a stage is what it reserved beyond both its median prediction and what it holds,
  the step under way and one more token included.
- A stage grows by 128 MiB of pages, or what is left to its limit, or what is free; its engine's next
  step pays for the pages that were mapped. Where neither free memory nor the rule helps, the last
  admitted stages of its engine are paused until there is a block free.
- A paused stage goes to the head of its node's queue, or where that is full back to the global queue.
- Memory that a sleep frees for a growth is there at once; an admission or a load waits for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.reference.inputs import BLOCK, down_to_blocks, up_to_blocks
from tests.reference.kv_memory import leave, make_fit
from tests.reference.machine import Engine, Node, Sequence, State
from tests.reference.residency import end_engine, sleep_engine, sleep_frees_bytes, start_s, wake_s

REUSE_SCALE_S = 60.0


@dataclass
class Candidate:
    """One thing that could give way."""

    kind: str
    engine: Engine
    sequence: Sequence | None
    freed_bytes: float
    harm_s: float


def surplus_tokens(sequence: Sequence) -> int:
    """Tokens that a reservation can be trimmed by."""
    stage = sequence.stage
    held = sequence.computed + sequence.scheduled + 1
    floor = up_to_blocks(max(held, stage.prompt + int(stage.q50), sequence.target + 1))
    return sequence.hit + sequence.private - floor


def reuse_likelihood(state: State, engine: Engine) -> float:
    """How likely an idle model is asked for soon."""
    return 1 / (1 + max(0.0, state.now_s - engine.used_s) / REUSE_SCALE_S)


def candidates(state: State, node: Node, needy: Engine | None, purpose: str) -> list[Candidate]:
    """All that could give way on a node for an engine that needs memory (None: for a load of a new one)."""
    limits = state.fleet.limits
    offers = []
    for engine in node.engines():
        model, unit = engine.model, engine.unit
        if engine.status == "asleep" and engine is not needy and purpose == "load":
            harm = (start_s(state, node, model) - wake_s(state, node, model)) * reuse_likelihood(state, engine)
            offers.append(Candidate("demote", engine, None, limits["sleep_bytes"], harm))
        if engine.is_idle and engine is not needy and (purpose == "load" or not node.partitioned):
            harm = wake_s(state, node, model) * reuse_likelihood(state, engine)
            offers.append(Candidate("sleep", engine, None, sleep_frees_bytes(node, engine), harm))
        if not engine.batch or (node.partitioned and (engine is not needy or purpose == "load")):
            continue
        widest = max(engine.batch, key=surplus_tokens)
        surplus = surplus_tokens(widest)
        if surplus > 0:
            harm = limits["growth_s"] * surplus * unit / limits["growth_bytes"]
            offers.append(Candidate("trim", engine, widest, surplus * unit, harm))
        if purpose == "growth" and engine.at_boundary:
            last = engine.batch[-1]
            harm = state.fleet.service[model].seconds(last.computed, 0)
            offers.append(Candidate("pause", engine, last, last.private * unit, harm))
    return offers


def wanted_since_s(node: Node, candidate: Candidate) -> float:
    """When the oldest stage that waits on the node for the candidate's model became ready."""
    model = candidate.engine.model
    return min((stage.times["ready"] for stage in node.queue if stage.model == model), default=math.inf)


def pick(state: State, node: Node, offers: list[Candidate]) -> Candidate:
    """The reclaim rules: least rank, then least cost, then first offered.

    ``vllm`` pauses the last admitted stage in a growth; else, as ``lru``, it puts the least recently
    used idle engine to sleep, ends sleepers after that and trims last. ``least-harm`` takes sleeps,
    trims and pauses by their harm a byte. All spare models that stages wait for, the longest waited
    for longest.
    """
    law = state.reclaim_law
    growing = any(offer.kind == "pause" for offer in offers)

    def rank(offer: Candidate) -> int:
        if law == "vllm" and growing:
            return 0 if offer.kind == "pause" else 1
        if offer.kind == "demote":
            return 2
        if offer.kind == "sleep":
            return 0 if wanted_since_s(node, offer) == math.inf else 1
        if law == "least-harm":
            return 0
        return 3 if offer.kind == "pause" else 4

    def cost(offer: Candidate) -> float:
        wanted_s = wanted_since_s(node, offer)
        if offer.kind == "sleep" and wanted_s < math.inf:
            return -wanted_s
        if law == "least-harm":
            return offer.harm_s / max(1.0, offer.freed_bytes)
        return offer.engine.used_s if offer.sequence is None else -offer.sequence.admitted_s

    return min(offers, key=lambda offer: (rank(offer), cost(offer)))


def pause(state: State, node: Node, engine: Engine, sequence: Sequence) -> None:
    """Take a running stage off its engine; it computes all its tokens anew later."""
    leave(state, engine, sequence)
    stage = sequence.stage
    stage.preemptions += 1
    state.count("preemptions")
    state.count("recomputed_tokens", sequence.computed)
    if len(node.queue) + node.inbound < state.fleet.limits["node_queue_limit"]:
        stage.phase = "queued"
        node.queue.insert(0, stage)
    else:
        stage.node = stage.cluster = -1
        state.join_global(stage)


def make_room(state: State, node: Node, needy: Engine | None, need_bytes: float, purpose: str) -> float | None:
    """Let things give way until there is room.

    Returns:
        Seconds until the memory is there; None when it cannot be freed.
    """
    delay_s = 0.0
    while True:
        room = node.load_room_bytes() if purpose == "load" or needy is None else node.free_bytes(needy)
        if room >= need_bytes:
            return delay_s
        offers = candidates(state, node, needy, purpose)
        if not offers:
            return None
        choice = pick(state, node, offers)
        if choice.kind == "sleep":
            delay_s = max(delay_s, sleep_engine(state, node, choice.engine))
        elif choice.kind == "demote":
            end_engine(state, node, choice.engine)
        elif choice.sequence is not None and choice.kind == "trim":
            choice.sequence.private -= surplus_tokens(choice.sequence)
        elif choice.sequence is not None:
            pause(state, node, choice.engine, choice.sequence)


def grow(state: State, node: Node, engine: Engine, sequence: Sequence) -> None:
    """A stage has filled its reservation: map more pages for it, or pause somebody."""
    limits, unit, stage = state.fleet.limits, engine.unit, sequence.stage
    left = up_to_blocks(stage.prompt + stage.max_output) - sequence.hit - sequence.private
    piece = down_to_blocks(int(limits["growth_bytes"] / unit))
    wanted = min(max(BLOCK, left), max(BLOCK, piece))
    if node.free_bytes(engine) < BLOCK * unit:
        paused = state.counters.get("preemptions", 0)
        make_room(state, node, engine, BLOCK * unit, "growth")
        while node.free_bytes(engine) < BLOCK * unit and engine.batch:
            pause(state, node, engine, engine.batch[-1])
        if state.counters.get("preemptions", 0) > paused:
            state.count("oom_events")
            node.due = True
        if sequence not in engine.batch:
            return
    tokens = min(wanted, down_to_blocks(int(node.free_bytes(engine) / unit)))
    sequence.private += tokens
    make_fit(node, engine)
    engine.owed_s += limits["growth_s"] * tokens * unit / limits["growth_bytes"]
    state.count("growths")
    stage.growths += 1


def grow_batch(state: State, node: Node, engine: Engine) -> None:
    """See that every decoding stage has a page for its next token, in order of admission."""
    while True:
        full = [s for s in engine.batch if s.has_memory(state.now_s) and not s.prefilling and s.is_full]
        if not full:
            return
        grow(state, node, engine, full[0])
