"""Calls that one node prefills and another decodes: how they leave the one and wait for the other.

What a node has prefilled leaves its GPUs at once. The call waits, in a list of the environment, until a node of its
cluster that decodes has a place in its queue; then its cluster is asked for one, and the KV sets out
(docs/disaggregation.md).
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.legal import can_send
from maestro_gym.sim.calendar import ask_node
from maestro_gym.sim.memory import give_back_memory, keep_context
from maestro_gym.sim.reclaim import leave_batch
from maestro_gym.state import STAGE_HANDOFF, State


@njit
def hand_over(state: State, e: int, node: int, slot: int, index: int) -> None:
    """A stage has its first token on a node that only prefills: it leaves, and its prompt stays as a prefix."""
    view, env = state.visible, state.core.env[e]
    stage = int(view.batch[e, node, slot, index])
    record = view.stages[e, stage]
    held = state.core.sequences[e, stage].computed_tokens
    leave_batch(state, e, node, slot, index)
    give_back_memory(state, e, node, slot, stage)
    keep_context(state, e, node, slot, stage, held)
    record.kv_tokens = held
    record.prefill_admitted_s = record.admitted_s
    record.handed_over_s = view.clock[e].now_s
    record.phase = STAGE_HANDOFF
    state.core.handoffs[e, env.handoffs] = stage
    env.handoffs += 1
    state.core.nodes[e, node].handoffs += 1
    ask_node(state, e, node)


@njit
def _leave_list(state: State, e: int, index: int) -> int:
    """The stage at a place of the list leaves it."""
    env, waiting = state.core.env[e], state.core.handoffs[e]
    stage = int(waiting[index])
    env.handoffs -= 1
    for i in range(index, env.handoffs):
        waiting[i] = waiting[i + 1]
    state.core.nodes[e, state.visible.stages[e, stage].node].handoffs -= 1
    return stage


@njit
def next_handoff(state: State, e: int) -> int:
    """Take the stage off the list that waits longest of those that a node of their cluster can take; -1 = none."""
    for index in range(state.core.env[e].handoffs):
        stage = int(state.core.handoffs[e, index])
        if can_send(state.visible, e, stage, int(state.visible.stages[e, stage].cluster)):
            return _leave_list(state, e, index)
    return -1


@njit
def next_lost(state: State, e: int, node: int) -> int:
    """Take the next stage off the list that a node prefilled which is lost now; -1 = none."""
    if state.core.nodes[e, node].handoffs > 0:
        for index in range(state.core.env[e].handoffs):
            if state.visible.stages[e, state.core.handoffs[e, index]].node == node:
                return _leave_list(state, e, index)
    return -1
