"""Links between clusters that fail and come back, and when what is sent over them is there (docs/failures.md).

While a link is down nothing new is sent over it (`scheduling.legal`). What is under way when it fails, and what a node
has to send back while it is down, is sent anew when it is repaired. Nothing is lost.
"""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import is_handed_over
from maestro_gym.sim.heap import push
from maestro_gym.sim.stretch import TIE_S
from maestro_gym.state import State


@njit
def turn_link(state: State, e: int, cluster: int, other: int, fails: int) -> None:
    """An outage of a link begins or ends, in both directions; it is back when its last outage is over."""
    view, outages = state.visible, state.core.link_outages[e]
    outages[cluster, other] += 1 if fails == 1 else -1
    outages[other, cluster] = outages[cluster, other]
    down = 1 if outages[cluster, other] > 0 else 0
    view.clock[e].links_down += down - view.link_down[e, cluster, other]
    view.link_down[e, cluster, other] = down
    view.link_down[e, other, cluster] = down
    if down == 0:
        state.core.env[e].global_due = 1
        _show_first_tokens(state, e)


@njit
def arrival_s(state: State, e: int, source: int, target: int, travel_s: float) -> float:
    """When what sets out now is there: it is sent anew at every repair after an outage that met it on its way."""
    env, outages = state.core.env[e], state.core.link_outages[e, source, target]
    set_out_s = state.visible.clock[e].now_s
    if source == target:
        return set_out_s + travel_s
    for row in range(env.outage_next, env.num_outages):
        outage = state.hidden.outages[e, row]
        if outages == 0 and outage.time_s >= set_out_s + travel_s - TIE_S:
            break
        ends = min(outage.cluster, outage.other), max(outage.cluster, outage.other)
        if outage.host < 0 and ends == (min(source, target), max(source, target)):
            outages += 1 if outage.fails == 1 else -1
            if outages == 0:
                set_out_s = outage.time_s
    return set_out_s + travel_s if outages == 0 else math.inf


@njit
def _post(state: State, e: int, stage: int, source: int, target: int, travel_s: float) -> None:
    """A prompt or an answer sets out."""
    arrives_s = arrival_s(state, e, source, target, travel_s)
    if arrives_s > state.visible.clock[e].now_s + travel_s + TIE_S:
        state.core.counters[e].resent += 1
    push(state, e, arrives_s, stage)


@njit
def _ingress(state: State, e: int, stage: int) -> int:
    """The cluster through which the workflow of a stage entered."""
    view = state.visible
    return int(view.workflows[e, view.stages[e, stage].workflow].ingress_cluster)


@njit
def send_prompt(state: State, e: int, stage: int, travel_s: float) -> None:
    """A stage sets out for its node; the KV of one that was handed over stays in its cluster."""
    cluster = int(state.visible.stages[e, stage].cluster)
    source = cluster if is_handed_over(state.visible, e, stage) else _ingress(state, e, stage)
    _post(state, e, stage, source, cluster, travel_s)


@njit
def send_answer(state: State, e: int, node: int, stage: int) -> None:
    """The answer of a stage sets out from its node."""
    world, target = state.visible.world, _ingress(state, e, stage)
    source = int(world.nodes[node].cluster)
    _post(state, e, stage, source, target, world.latency_s[source, target])


@njit
def send_first_token(state: State, e: int, node: int, stage: int) -> None:
    """The first token of a stage sets out; while a link holds it up nobody can tell until when."""
    world, target = state.visible.world, _ingress(state, e, stage)
    source = int(world.nodes[node].cluster)
    latency_s = world.latency_s[source, target]
    seen_s = arrival_s(state, e, source, target, latency_s)
    if seen_s <= state.visible.clock[e].now_s + latency_s + TIE_S:
        state.visible.stages[e, stage].first_token_s = seen_s
    else:
        state.core.sequences[e, stage].first_token_s = seen_s


@njit
def see_answer(state: State, e: int, stage: int) -> None:
    """An answer is there, and with it the first token of one that was paused beyond a link and went on elsewhere."""
    sequence = state.core.sequences[e, stage]
    if sequence.first_token_s < math.inf:
        state.visible.stages[e, stage].first_token_s = min(sequence.first_token_s, state.visible.clock[e].now_s)
        sequence.first_token_s = math.inf


@njit
def _show_first_tokens(state: State, e: int) -> None:
    """A link is repaired: first tokens that have set out now will be seen."""
    view = state.visible
    for stage in range(view.stages.shape[1]):
        sequence = state.core.sequences[e, stage]
        if sequence.first_token_s < math.inf:
            source = int(view.world.nodes[view.stages[e, stage].node].cluster)
            latency_s = view.world.latency_s[source, _ingress(state, e, stage)]
            if sequence.first_token_s <= view.clock[e].now_s + latency_s + TIE_S:
                view.stages[e, stage].first_token_s = sequence.first_token_s
                sequence.first_token_s = math.inf
