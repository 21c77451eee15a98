"""What is possible at a decision, and which decisions fall due.

Conventions beside the formulas (docs/physics.md, "The decisions"):

- A stage may be sent to a node with a free place in its queue that could serve it alone, up to its
  output limit. A cluster takes a stage when one of its nodes does.
- A node that only decodes takes what others have prefilled, one that only prefills what nobody has. The latter needs
  memory for the prompt and a token; a node of its cluster must be able to hold the rest.
- Where memory is elastic, a load may count on the memory of idle engines and of sleepers, an
  admission on that of idle engines, which it can only put to sleep.
- A node is asked only when it can admit a waiting stage or promote its model. Wait is legal when
  anything is under way: a step, a load, a stage in transit or in a gap, a later arrival, an outage, a start; and
  wherever nodes may be started and stopped, or GPUs regrouped.
"""

from __future__ import annotations

import math

from tests.reference.choosing import Action
from tests.reference.comings import next_coming_s
from tests.reference.inputs import Stage, up_to_blocks
from tests.reference.kv_memory import RESERVE_LEVELS, admit_bytes, longest_tokens
from tests.reference.links import is_down
from tests.reference.machine import Node, State
from tests.reference.residency import load_bytes, sleep_frees_bytes

WAIT: Action = ("wait", 0, 0)


def could_serve(state: State, node: Node, stage: Stage) -> bool:
    """Whether a node could do what is due of a stage, alone; where it only prefills, another must be able to go on."""
    if node.spec.duty == ("prefill" if stage.brought else "decode") or not could_hold(node, stage):
        return False
    return node.spec.duty != "prefill" or any(
        could_hold(other, stage)
        for other in state.nodes
        if other.spec.cluster == node.spec.cluster and other.spec.duty != "prefill"
    )


def could_hold(node: Node, stage: Stage) -> bool:
    """Whether a node has memory for a stage alone, its model not barred from it."""
    if stage.model in node.spec.barred:
        return False
    limits, speed, pool = node.fleet.limits, node.spec.speeds[stage.model], node.spec.hbm_pool_bytes
    most = up_to_blocks(longest_tokens(node, stage)) * speed.kv_bytes_per_token
    taken = pool
    if node.partitioned:
        taken = load_bytes(node, stage.model)
        if taken > pool * (1 + 1e-9):
            return False
    room = taken - speed.weight_bytes - limits["margin_bytes"]
    return most <= room and most <= limits["kv_virtual_cap"] * pool


def can_route(state: State, node: Node, stage: Stage) -> bool:
    """Whether a stage may be sent to a node now; what was handed over stays in its cluster, and needs no link."""
    if is_down(state, stage.job.ingress, node.spec.cluster) and not stage.brought:
        return False
    has_place = node.life == "ready" and len(node.queue) + node.inbound < node.fleet.limits["node_queue_limit"]
    return has_place and could_serve(state, node, stage)


def idle_bytes(node: Node, keep: int, *, ending: bool) -> float:
    """HBM that sleeping every idle engine but one would free, and ending sleepers too."""
    residue = node.fleet.limits["sleep_bytes"] if ending else 0.0
    total = 0.0
    for engine in node.engines():
        if engine.model != keep and engine.status == "asleep":
            total += residue
        elif engine.model != keep and engine.is_idle:
            total += sleep_frees_bytes(node, engine) + residue
    return total


def can_admit(state: State, node: Node, stage: Stage, level: int) -> bool:
    """Whether a waiting stage may join its engine's batch."""
    limits = node.fleet.limits
    engine = node.engine_of(stage.model)
    if engine is None or engine.status != "awake" or len(engine.batch) >= limits["max_num_seqs"]:
        return False
    granted = longest_tokens(node, stage) * engine.unit
    if node.virtual_bytes + granted > limits["kv_virtual_cap"] * node.spec.hbm_pool_bytes:
        return False
    room = node.free_bytes(engine)
    if not node.partitioned:
        room += idle_bytes(node, stage.model, ending=False)
    return admit_bytes(state, node, stage, level) <= room


def can_promote(state: State, node: Node, model: int) -> bool:
    """Whether a model may start to become RUNNING."""
    if model in node.spec.barred:
        return False
    engine = node.engine_of(model)
    if (engine is not None and engine.status != "asleep") or node.changed_s[model] == state.now_s:
        return False
    if engine is None and not any(e is None or e.status == "asleep" or e.is_idle for e in node.slots):
        return False
    return load_bytes(node, model) <= node.load_room_bytes() + idle_bytes(node, model, ending=True)


def can_demote(state: State, node: Node, model: int) -> bool:
    """Whether a model may move one tier down."""
    engine = node.engine_of(model)
    return (
        engine is not None and node.changed_s[model] != state.now_s and engine.status != "loading" and not engine.batch
    )


def global_actions(state: State) -> list[Action]:
    """Sends that are legal now."""
    clusters = range(len(state.fleet.latency_s))
    return [
        ("send", stage.id, cluster)
        for stage in state.queue
        for cluster in clusters
        if any(node.spec.cluster == cluster and can_route(state, node, stage) for node in state.nodes)
    ]


def rejections(state: State) -> list[Action]:
    """Rejections that are legal now, each named by a waiting stage of a workflow of which nothing was ever sent."""
    if not state.fleet.limits["admission"]:
        return []
    begun = {stage.job_id for stage in state.stages if "sent" in stage.times}
    return [("reject", stage.id, 0) for stage in state.queue if stage.job_id not in begun]


def cluster_actions(state: State, stage: Stage) -> list[Action]:
    """Nodes of its cluster that a stage may be sent to."""
    nodes = [node for node in state.nodes if node.spec.cluster == stage.cluster]
    return [("route", node.id, 0) for node in nodes if can_route(state, node, stage)]


def node_actions(state: State, node: Node) -> list[Action]:
    """Admissions, promotions and demotions that are legal now."""
    levels, models = range(len(RESERVE_LEVELS)), range(node.fleet.num_models)
    admits: list[Action] = [
        ("admit", place, level)
        for place, stage in enumerate(node.queue)
        for level in levels
        if can_admit(state, node, stage, level)
    ]
    promotes: list[Action] = [("promote", model, 0) for model in models if can_promote(state, node, model)]
    demotes: list[Action] = [("demote", model, 0) for model in models if can_demote(state, node, model)]
    return admits + promotes + demotes


def can_serve_queue(state: State, node: Node) -> bool:
    """Whether a node can do anything for a stage that waits there."""
    cheapest = RESERVE_LEVELS.index("prompt")
    return any(can_admit(state, node, stage, cheapest) or can_promote(state, node, stage.model) for stage in node.queue)


def may_wait(state: State) -> bool:
    """Whether something else is going to happen."""
    engines = [engine for node in state.nodes for engine in node.engines()]
    return (
        bool(state.timed)
        or state.arrived < len(state.jobs)
        or any(engine.batch or engine.load is not None or engine.held() for engine in engines)
        or next_coming_s(state) < math.inf
        or state.scaling
        or state.regrouping
    )
