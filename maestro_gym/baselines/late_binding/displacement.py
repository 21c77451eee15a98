"""Which node gives up what it serves for a model that nobody serves.

Rent or buy, counted in stage-seconds: a model displaces others when its stages in the global queue
have waited in sum as long as the displaced stages would, that is the time of the start times the
stages that the displaced engines serve. One rare request so cannot cost a popular model its node at
once, and demand for a model that was displaced brings it back soon. A modelling choice, the same
for Maestro and its residency-aware rivals.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.late_binding.gates import GATE_CLUSTER, GATE_FLEET, GATE_HELD, is_warm, takes_newcomer
from maestro_gym.baselines.late_binding.room import needed_bytes
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import ready_time_s, reuse_likelihood
from maestro_gym.scheduling.legal import can_route
from maestro_gym.scheduling.sets import next_welcoming
from maestro_gym.scheduling.sizes import load_room_bytes, sleep_frees_bytes
from maestro_gym.scheduling.view import model_of, now_s, num_slots, num_waiting
from maestro_gym.state import ENGINE_AWAKE, RESERVE_PROMPT, View


@njit
def stages_of_engine(view: View, e: int, node: int, slot: int) -> float:
    """Stages that an engine serves: admitted, waiting for it, and the one that may come soon."""
    engine = view.engines[e, node, slot]
    waiting = num_waiting(view, e, node, int(engine.model))
    return int(engine.running) + waiting + reuse_likelihood(view, e, node, slot)


@njit
def displaced_stages(view: View, e: int, stage: int, node: int) -> float:
    """Stages served by the engines that must go for a stage, the least busy first; inf when it cannot be."""
    model = model_of(view, e, stage)
    missing = needed_bytes(view, e, node, stage, RESERVE_PROMPT) - load_room_bytes(view, e, node)
    displaced, last, last_slot = 0.0, -1.0, -1
    while missing > 0.0:
        best, best_stages = -1, math.inf
        for slot in range(num_slots(view)):
            engine = view.engines[e, node, slot]
            if int(engine.status) != ENGINE_AWAKE or int(engine.model) == model:
                continue
            stages = stages_of_engine(view, e, node, slot)
            # In order of (stages, slot), after the one taken last.
            if (stages > last or (stages == last and slot > last_slot)) and stages < best_stages:
                best, best_stages = slot, stages
        if best < 0:
            return math.inf
        displaced += best_stages
        missing -= sleep_frees_bytes(view, e, node, best)
        last, last_slot = best_stages, best
    return displaced


@njit
def waited_stage_s(view: View, e: int, model: int) -> float:
    """Stage-seconds that the stages of a model in the global queue have waited."""
    record = view.models[e, model]
    return int(record.ready) * now_s(view, e) - float(record.ready_sum_s)


@njit
def displaces(gate: int) -> bool:
    """Whether a stage may displace others under a gate."""
    return gate in (GATE_FLEET, GATE_HELD, GATE_CLUSTER)


@njit
def displacement_node(view: View, e: int, stage: int, cluster: int, gate: int, expected: bool) -> int:
    """Node on which a stage may displace others: the one that loses the fewest stage-seconds.

    Args:
        view: What a scheduler sees.
        e: Environment.
        stage: A stage that no node is open to.
        cluster: Only nodes of this cluster; -1 for the whole fleet.
        gate: ``GATE_FLEET`` and ``GATE_HELD`` ask whether waiting has cost enough; ``GATE_CLUSTER`` does not, for a
            stage that was sent already; under other gates nobody is displaced.
        expected: The answer of ``gates.is_expected``: nobody is displaced for a model that some node has.

    Returns:
        A node id, -1 when none may be disturbed.
    """
    if not displaces(gate) or expected:
        return -1
    model = model_of(view, e, stage)
    waited_s = math.inf if gate == GATE_CLUSTER else waited_stage_s(view, e, model)
    best, best_cost_s = -1, math.inf
    node = -1
    while True:
        node = next_welcoming(view, e, model, cluster, node)
        if node < 0:
            break
        if not can_route(view, e, stage, node) or is_warm(view, e, node, model):
            continue
        if not takes_newcomer(view, e, node, model):
            continue
        ready_s = ready_time_s(view, e, node, model)
        if ready_s > waited_s or ready_s >= best_cost_s:
            continue
        cost_s = ready_s * max(1.0, displaced_stages(view, e, stage, node))
        if cost_s < best_cost_s:
            best, best_cost_s = node, cost_s
    return best if best_cost_s <= waited_s else -1
