"""GPUs of a host that are regrouped: boards, whose nodes of one degree are on.

Conventions (docs/elastic.md):

- Once a period every board with a ready node is asked for its degree, lowest first, before the global tier is; a board
  that drains or starts is not. To wait keeps the degree until the next moment.
- Its nodes drain, and are switched off together when the last has nothing left; the page cache stays. Those of the new
  degree start at that moment, and are ready after `regroup_s`.
- A node that starts holds what ran, awake, on the old ones: by popularity per copy, the lower id on a tie, up to a
  share of its memory (all of it where memory is partitioned), the first whatever its share; in slots from the first on.
"""

from __future__ import annotations

import math

from tests.reference.choosing import Action
from tests.reference.comings import clear, enter, is_drained
from tests.reference.machine import Engine, Node, State
from tests.reference.residency import load_bytes

WEIGHT_SHARE = 0.6


def nodes_of(state: State, board: int) -> list[Node]:
    """The nodes of a board, of all degrees."""
    return [node for node in state.nodes if node.spec.board == board]


def handle_moment(state: State, until_s: float) -> None:
    """Let it be time to choose degrees when a period has passed."""
    if state.regroup_s > until_s:
        return
    state.regroup_s += state.fleet.limits["regroup_period_s"]
    if state.chooses_degree:
        boards = sorted({node.spec.board for node in state.nodes if node.spec.board >= 0})
        state.boards_due = [b for b in boards if any(node.life == "ready" for node in nodes_of(state, b))]


def question(state: State) -> tuple[Node, list[Action]] | None:
    """The node that is asked next for the degree of its board, and the other degrees."""
    if not state.boards_due:
        return None
    nodes = nodes_of(state, state.boards_due[0])
    ready = next(node for node in nodes if node.life == "ready")
    degrees = sorted({node.spec.gpus for node in nodes} - {ready.spec.gpus})
    return ready, [("regroup", gpus, 0) for gpus in degrees]


def regroup(state: State, gpus: int) -> None:
    """The board that was asked for changes."""
    board = state.boards_due.pop(0)
    state.count("regroups")
    state.next_gpus[board] = gpus
    for node in nodes_of(state, board):
        if node.life == "ready":
            enter(state, node, "draining")
    handle_regrouping(state)


def handle_regrouping(state: State) -> None:
    """Switch the boards that have drained."""
    for board, gpus in sorted(state.next_gpus.items()):
        nodes = nodes_of(state, board)
        old = [node for node in nodes if node.life == "draining"]
        if all(is_drained(state, node) for node in old):
            for node in nodes:
                if node.spec.gpus == gpus:
                    enter(state, node, "starting")
                    node.started_s = state.now_s + state.fleet.limits["regroup_s"]
                    _carry(state, node, old)
            for node in old:
                enter(state, node, "off")
                clear(state, node)
            del state.next_gpus[board]


def _carry(state: State, node: Node, old: list[Node]) -> None:
    pool = node.spec.hbm_pool_bytes
    room, left = pool, pool if node.partitioned else WEIGHT_SHARE * pool
    ran = {engine.model for other in old for engine in other.engines() if engine.status == "awake"} - node.spec.barred
    siblings = [n for n in nodes_of(state, node.spec.board) if n.spec.gpus == node.spec.gpus]

    def best() -> int | None:
        fitting = [model for model in sorted(ran) if load_bytes(node, model) <= room]
        copies = {model: sum(n.engine_of(model) is not None for n in siblings) for model in fitting}
        return max(fitting, key=lambda m: state.fleet.popularity[m] / (copies[m] + 1), default=None)

    model = best()
    while model is not None and None in node.slots:
        engine = Engine(model, node.spec.speeds[model], "awake", state.now_s)
        need = load_bytes(node, model)
        if node.partitioned:
            engine.pool_bytes = need - engine.speed.weight_bytes - state.fleet.limits["margin_bytes"]
        node.slots[node.slots.index(None)] = engine
        state.log_residency(node, model, "running", "running")
        left -= need
        room = left
        ran.remove(model)
        model = best()


def begin_off(state: State) -> None:
    """The nodes whose GPUs are in other groups at the start."""
    for node in state.nodes:
        if node.spec.begins_off:
            node.life = "off"
    state.regroup_s = state.fleet.limits["regroup_period_s"] or math.inf
