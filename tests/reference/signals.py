"""What routers know by scrapes, a kind of signals each.

Conventions (docs/stale_signals.md):

- A kind is scraped once a period, at all nodes at once, after everything else of its instant. It is known after its
  delay and stands until the next is known; at the beginning routers know the fleet as it is.
- Every router has scrapes of its own, the first of router r of R (r + 1)/R of a period after the beginning. Workflows
  go to routers in turn. A decision reads the scrapes of the router whose stage is routed, whose call asked first, or
  whose stage is first in the global queue.
- Where routers know what they sent, they add it to the queue that they know, until they know a scrape taken later.
- Where the KV in use has an age of its own, it is as it was a period ago at most, and nothing at the beginning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from tests.reference.inputs import Stage, up_to_blocks
from tests.reference.machine import Engine, Node, State

KINDS = ("queues", "running", "residency")


@dataclass
class Scrape:
    """One kind of signals of a router: what it knows of every node, and what is on its way to it."""

    router: int
    kind: str
    period_s: float
    delay_s: float
    taken_s: float
    known_s: float = math.inf
    known: list[tuple[Any, ...]] = field(default_factory=list)
    underway: list[tuple[Any, ...]] = field(default_factory=list)


def used_bytes(engine: Engine) -> float:
    """Mapped blocks: of running stages, and of prefixes."""
    if engine.status != "awake":
        return 0.0
    mapped = sum(up_to_blocks(sequence.computed - sequence.hit) for sequence in engine.batch)
    return mapped * engine.unit + engine.pinned_bytes + engine.cached_bytes


def work_s(node: Node, stages: list[Stage]) -> float:
    """Nominal time of what a node has to compute of some stages: their prompts, what comes after them, or both."""
    total_s = 0.0
    for stage in stages:
        service = node.fleet.service[stage.model]
        if node.spec.duty == "decode":
            total_s += service.decode_s_per_token * stage.q50
        else:
            total_s += service.seconds(stage.prompt, 0.0 if node.spec.duty == "prefill" else stage.q50)
    return total_s


def look(state: State, node: Node, kind: str) -> tuple[Any, ...]:
    """What there is to know of a node."""
    if kind == "queues":
        sent = [stage for stage in state.stages if stage.phase in ("transit", "queued") and stage.node == node.id]
        return len(node.queue), node.inbound, work_s(node, sent)
    if kind == "running":
        stages = [sequence.stage for engine in node.engines() for sequence in engine.batch]
        used = sum(used_bytes(engine) for engine in node.engines())
        return len(stages), work_s(node, stages), float(used), float(node.cached_bytes)
    engines = [node.engine_of(model) for model in range(state.fleet.num_models)]
    return tuple("free" if engine is None else engine.status for engine in engines)


def begin_scrapes(state: State) -> list[Scrape]:
    """Every kind that is scraped, known as it is by every router."""
    routers = int(state.fleet.limits["routers"])
    scrapes = []
    for router in range(routers):
        for kind, (period_s, delay_s) in zip(KINDS, state.fleet.signals, strict=True):
            if period_s > 0:
                known = [look(state, node, kind) for node in state.nodes]
                scrapes.append(
                    Scrape(router, kind, period_s, delay_s, period_s * ((router + 1) / routers), known=known)
                )
    return scrapes


def router_of(state: State, stage: Stage) -> int:
    """The router of a stage."""
    return stage.job_id % int(state.fleet.limits["routers"])


def router_to_ask(state: State, tier: str, place: int) -> int:
    """The router that decides."""
    first = {"cluster": state.to_route, "global": state.queue[0] if state.queue else None}.get(tier)
    if tier == "tool":
        first = state.tool_queues[place][0]
    return 0 if first is None else router_of(state, first)


def note_sent(state: State, node: Node, stage: Stage) -> None:
    """A router adds what it sends to the queue that it knows."""
    for scrape in state.scrapes if state.fleet.limits["own_sends"] else ():
        if scrape.kind == "queues" and scrape.router == router_of(state, stage):
            for rows in (scrape.known, scrape.underway):
                if rows:
                    queued, inbound, queued_work_s = rows[node.id]
                    rows[node.id] = queued, inbound + 1, queued_work_s + work_s(node, [stage])


def next_scrape_s(state: State) -> float:
    """When something is scraped or known next."""
    return min((state.metrics_s, *(min(scrape.taken_s, scrape.known_s) for scrape in state.scrapes)))


def handle_scrapes(state: State, until_s: float) -> None:
    """All of this that happens at one instant."""
    if state.metrics_s <= until_s:
        state.metrics_s += state.fleet.limits["metrics_delay_s"]
        for node in state.nodes:
            for engine in node.engines():
                engine.seen_bytes = used_bytes(engine)
            node.seen_bytes = sum(engine.seen_bytes for engine in node.engines())
    for scrape in state.scrapes:
        if scrape.known_s <= until_s:
            scrape.known, scrape.known_s = list(scrape.underway), math.inf
        if scrape.taken_s <= until_s:
            scrape.underway = [look(state, node, scrape.kind) for node in state.nodes]
            scrape.known_s = scrape.taken_s + scrape.delay_s
            scrape.taken_s += scrape.period_s
            if scrape.delay_s == 0:
                scrape.known, scrape.known_s = list(scrape.underway), math.inf
