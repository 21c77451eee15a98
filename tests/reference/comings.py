"""Nodes that come and go: outages, starts and stops.

Conventions (docs/failures.md, docs/autoscaling.md):

- A node is ready, off, starting, draining or failed. Only a ready one is sent stages. A draining one serves what it
  has, and is off when it has nothing left: waiting, on the way, or running.
- Of one instant outages come after everything else, in their order; then starts that are over, then nodes that have
  drained; then it is time to scale.
- Of a node that is lost the running stages begin from nothing: by slot, in order of admission, then those that waited,
  they go back to the global queue. Who was paused and waited has lost its tokens, too. What is on its way to a node
  that is neither ready nor draining comes back on its arrival, without the KV that it brought.
- What it had prefilled for others and still kept begins from nothing, too, after all these. It has drained only when
  there is no such stage.
- A host that fails loses its page cache, and so does one whose last node is switched off: what was in DRAM is on disk.
- A node may be in two outages, its own and its host's, and is back after both. One that is off does not notice, but has
  failed when its start ends within one. One that drains is off at once.
- Nodes are started and stopped at moments a period apart, within their least and greatest number, each once at a
  moment; the global tier is asked while there is any such choice, until it waits.
"""

from __future__ import annotations

import math

from tests.reference.batching import count_unfinished
from tests.reference.choosing import Action
from tests.reference.inputs import Stage
from tests.reference.kv_memory import leave
from tests.reference.links import turn_link
from tests.reference.machine import Engine, Node, State
from tests.reference.residency import TRANSFERS, host_of, share_device


def enter(state: State, node: Node, life: str) -> None:
    """A node is in another state from now on."""
    node.spent_s[node.life] = node.spent_s.get(node.life, 0.0) + state.now_s - node.since_s
    node.life, node.since_s, node.started_s = life, state.now_s, math.inf
    if life == "ready":
        state.global_due = True


def come_back(state: State, stage: Stage) -> None:
    """A stage waits for the global decision again."""
    stage.node = stage.cluster = -1
    stage.brought = 0
    state.join_global(stage)


def end_run(state: State, engine: Engine) -> None:
    """The first stage of a batch is taken off, all that it had computed lost."""
    sequence = engine.batch[0]
    leave(state, engine, sequence)
    state.count("wasted_tokens", sequence.computed - max(sequence.hit, sequence.begun))
    restart(state, sequence.stage)


def restart(state: State, stage: Stage) -> None:
    """A stage begins from nothing."""
    state.count("restarts")
    state.count("wasted_tokens", stage.brought)
    stage.times.pop("handed_over", None)
    stage.times.pop("prefill_admitted", None)
    stage.generated = 0
    stage.restarts += 1
    stage.times.pop("first_token", None)
    state.late_tokens.pop(stage.id, None)
    come_back(state, stage)


def lose(state: State, node: Node, engine: Engine) -> None:
    """An engine is gone, and what it was loading."""
    source = {"awake": "running", "asleep": "sleeping"}.get(engine.status, "")
    if engine.load is not None:
        part, source = engine.load.part, "sleeping" if engine.load.source == "asleep" else engine.load.source
        engine.load = None
        if part in TRANSFERS:
            share_device(state, node.spec.host, part)
    node.slots[node.slots.index(engine)] = None
    state.log_residency(node, engine.model, source, host_of(state, node)[0].tier[engine.model])


def clear(state: State, node: Node) -> None:
    """A node loses all that it has."""
    count_unfinished(state, node.engines())
    for engine in node.engines():
        engine.step = None
        while engine.batch:
            end_run(state, engine)
        lose(state, node, engine)
    while node.queue:
        stage = node.queue.pop(0)
        (restart if stage.generated else come_back)(state, stage)
    for stage in [stage for stage in state.handed_over if stage.node == node.id]:
        state.handed_over.remove(stage)
        restart(state, stage)
    node.due, node.ask_again_s = False, math.inf


def lose_page_cache(state: State, host: int) -> None:
    """A machine keeps only its drive."""
    tiers = state.hosts[host].tier
    tiers[:] = ["disk" if tier == "cpu" else tier for tier in tiers]


def switch_off(state: State, node: Node) -> None:
    """A node is off; the last one of its machine takes the page cache with it."""
    enter(state, node, "off")
    if all(other.life == "off" for other in state.nodes if other.spec.host == node.spec.host):
        lose_page_cache(state, node.spec.host)
    clear(state, node)


def fail(state: State, node: Node) -> None:
    """An outage of a node begins."""
    node.outages += 1
    if node.life in ("off", "failed"):
        return
    state.count("node_failures")
    if node.life == "draining":
        switch_off(state, node)
    else:
        enter(state, node, "failed")
        clear(state, node)


def repair(state: State, node: Node) -> None:
    """An outage of a node ends."""
    node.outages -= 1
    if node.outages == 0 and node.life == "failed":
        enter(state, node, "ready")


def is_drained(state: State, node: Node) -> bool:
    """Whether a node has nothing left to do, and nothing that waits for another to go on with."""
    if any(stage.node == node.id for stage in state.handed_over):
        return False
    return not node.queue and node.inbound == 0 and not any(engine.batch for engine in node.engines())


def next_coming_s(state: State) -> float:
    """When an outage begins or ends, or a start is over."""
    return min((state.outages[0][0] if state.outages else math.inf, *(node.started_s for node in state.nodes)))


def handle_comings(state: State, until_s: float) -> None:
    """All of this that happens at one instant."""
    while state.outages and state.outages[0][0] <= until_s:
        _, host, only, fails, *link = state.outages.pop(0)
        if host < 0:
            turn_link(state, frozenset(link), fails, until_s)
            continue
        if only < 0 and fails:
            lose_page_cache(state, host)
        for node in state.nodes:
            if node.spec.host == host and only in (-1, node.id):
                (fail if fails else repair)(state, node)
    for node in state.nodes:
        if node.started_s <= until_s:
            enter(state, node, "failed" if node.outages else "ready")
    handle_drained(state)


def handle_drained(state: State) -> None:
    """Nodes that drain and have nothing left are off."""
    for node in state.nodes:
        if node.life == "draining" and node.spec.board < 0 and is_drained(state, node):
            switch_off(state, node)


def handle_scaling(state: State, until_s: float) -> None:
    """Let it be time to scale when a period has passed."""
    if state.scale_s <= until_s:
        state.scaling = True
        state.scale_s += state.fleet.limits["scale_period_s"]


def scale_actions(state: State) -> list[Action]:
    """Nodes that may be started or stopped now."""
    if not state.scaling:
        return []
    limits, on = state.fleet.limits, sum(node.is_on for node in state.nodes)
    still = [node for node in state.nodes if node.since_s < state.now_s]
    starts: list[Action] = [
        ("start", node.id, 0) for node in still if node.life in ("off", "draining") and on < limits["max_nodes"]
    ]
    stops: list[Action] = [
        ("stop", node.id, 0) for node in still if node.life in ("ready", "starting") and on > limits["min_nodes"]
    ]
    return starts + stops


def start(state: State, node: Node) -> None:
    """Start a node, or call it back."""
    state.count("node_starts")
    if node.life == "draining":
        enter(state, node, "ready")
    else:
        enter(state, node, "starting")
        node.started_s = state.now_s + state.fleet.limits["node_start_s"]


def stop(state: State, node: Node) -> None:
    """Stop a node, now or when it has drained."""
    state.count("node_stops")
    if node.life == "starting" or is_drained(state, node):
        switch_off(state, node)
    else:
        enter(state, node, "draining")
