"""The compiled engine: a batch's state, the rules that answer for it, and the loop that asks them.

Rules enter as numba first-class functions, so a new rule compiles alone and the engine never again.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numba import types

from maestro_gym.core.boxed import Handle, box
from maestro_gym.core.compile import njit, njit_as
from maestro_gym.scheduling.actions import LEAVE, admit_code, promote_code, send_code
from maestro_gym.scheduling.legal import can_admit, can_promote, can_route, can_send
from maestro_gym.scheduling.policy import RULE_TYPE, Policy
from maestro_gym.scheduling.tiers import NO_TIER, TIER_CLUSTER, TIER_CONTEXT, TIER_GLOBAL, TIER_TOOL
from maestro_gym.scheduling.tool_view import rule_tier
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.contexts import apply_context
from maestro_gym.sim.decisions import apply_cluster, apply_global, apply_node, next_decision
from maestro_gym.sim.reclaim import Rule
from maestro_gym.sim.tools import apply_tool
from maestro_gym.state import NUM_RESERVE_LEVELS, NUMBERS, Hidden, State
from maestro_gym.state.types import HIDDEN, STATE, blank_hidden


class Engine(NamedTuple):
    """A batch's state and the rules that answer for it.

    Attributes:
        state: All arrays of the batch.
        oracle: What the rules may read beyond the view: the truth for class O, else nothing.
        global_rule: Which waiting stage goes to which cluster, and whose call gets a place of a tool.
        cluster_rule: Which node takes it.
        node_rule: Admission, reservation, residency, and what becomes of a context while its tool runs.
        reclaim_rule: What gives way when memory is short.
    """

    state: State
    oracle: Hidden
    global_rule: Rule
    cluster_rule: Rule
    node_rule: Rule
    reclaim_rule: Rule


ENGINE = Handle(types.NamedTuple((STATE, HIDDEN.layout, RULE_TYPE, RULE_TYPE, RULE_TYPE, RULE_TYPE), Engine))
"""Type of a boxed engine in compiled code."""


def open_engine(simulation: Simulation, policy: Policy, agent: Collection[str] = ()) -> Any:  # noqa: ANN401 - a box
    """Join a batch with the policy that answers for it.

    Args:
        simulation: The batch; open its engine again after an episode made its arrays grow.
        policy: A rule for every tier; only a policy of class O is given the truth.
        agent: Questions that an agent answers, of those which are asked only where somebody has an answer: ``tools``,
            ``contexts``, ``degrees``.

    Returns:
        The boxed `Engine`, which compiled functions of this module take.
    """
    if policy.numbers:
        simulation.numbers[:, : len(policy.numbers)] = policy.numbers
        simulation.state.visible.numbers[:] = simulation.numbers
    for array in (simulation.numbers, simulation.state.visible.numbers):
        array[:, NUMBERS:] = policy.scale
    simulation.orders_tools = policy.global_rule.orders_tools or "tools" in agent
    simulation.decides_contexts = policy.node_rule.decides_contexts or "contexts" in agent
    simulation.chooses_degree = policy.node_rule.chooses_degree or "degrees" in agent
    simulation.state.core.env["orders_tools"] = simulation.orders_tools
    simulation.state.core.env["decides_contexts"] = simulation.decides_contexts
    simulation.state.core.env["chooses_degree"] = simulation.chooses_degree
    return _boxed(simulation.state, policy)


def open_beside(simulation: Simulation, policy: Policy) -> Any:  # noqa: ANN401 - a box
    """Join a batch with a second policy, which is only asked: its notes and its numbers are its own.

    It reads the same state at the same moment, and what its rules write down is seen by nobody else.

    Args:
        simulation: The batch; see `open_engine`.
        policy: A rule for every tier; only a policy of class O is given the truth.

    Returns:
        The boxed `Engine`, for `ask`.
    """
    view = simulation.state.visible
    numbers = np.zeros_like(view.numbers)
    numbers[:, : len(policy.numbers)] = policy.numbers
    numbers[:, NUMBERS:] = policy.scale
    names = ("memory", "model_memory", "tenant_memory", "block_notes", "scratch")
    notes = {name: np.zeros_like(getattr(view, name)) for name in names}
    return _boxed(simulation.state._replace(visible=view._replace(numbers=numbers, **notes)), policy)


def _boxed(state: State, policy: Policy) -> Any:  # noqa: ANN401 - a box
    oracle = state.hidden if policy.reads_oracle else blank_hidden()
    return box(Engine(state, oracle, *(rule.function for rule in policy.rules)), ENGINE)


@njit
def fallback_action(state: State, e: int, tier: int) -> int:
    """The lowest legal action of the pending decision, for when a rule or an agent picked an illegal one."""
    view = state.visible
    clock = view.clock[e]
    if tier == TIER_TOOL:
        return int(view.tools[e, clock.place].first)
    if tier == TIER_CONTEXT:
        return LEAVE
    if tier != TIER_CLUSTER and clock.wait_legal == 1:
        return 0
    if tier == TIER_GLOBAL:
        for i in range(clock.global_len):
            for cluster in range(view.world.latency_s.shape[0]):
                if can_send(view, e, int(view.global_queue[e, i]), cluster):
                    return send_code(view, int(view.global_queue[e, i]), cluster)
        return 0
    if tier == TIER_CLUSTER:
        for node in range(view.nodes.shape[1]):
            if view.world.nodes[node].cluster == clock.cluster and can_route(view, e, int(clock.stage), node):
                return node
        return 0
    node = int(clock.place)
    for i in range(view.nodes[e, node].queue_len):
        for level in range(NUM_RESERVE_LEVELS):
            if can_admit(view, e, node, i, level):
                return admit_code(view, i, level)
    for model in range(view.world.models.shape[0]):
        if can_promote(view, e, node, model):
            return promote_code(view, model)
    return 0


@njit
def act(engine: Engine, e: int, tier: int, action: int) -> bool:
    """Do an action of the pending decision; an illegal one is replaced by the lowest legal one.

    Returns:
        Whether the action was legal.
    """
    state = engine.state
    legal = _apply(engine, e, tier, action)
    if not legal:
        state.core.counters[e].invalid_actions += 1
        _apply(engine, e, tier, fallback_action(state, e, tier))
    return legal


@njit
def _apply(engine: Engine, e: int, tier: int, action: int) -> bool:
    if tier == TIER_GLOBAL:
        return apply_global(engine.state, e, action)
    if tier == TIER_CLUSTER:
        return apply_cluster(engine.state, e, action)
    if tier == TIER_TOOL:
        return apply_tool(engine.state, e, action)
    if tier == TIER_CONTEXT:
        return apply_context(engine.state, e, action)
    return apply_node(engine.state, engine.oracle, e, action, engine.reclaim_rule)


@njit
def ask(engine: Engine, e: int, tier: int) -> int:
    """What the rule of a tier answers to the pending decision; nothing moves."""
    if rule_tier(tier) == TIER_GLOBAL:
        return engine.global_rule(engine.state.visible, engine.oracle, e)
    if tier == TIER_CLUSTER:
        return engine.cluster_rule(engine.state.visible, engine.oracle, e)
    return engine.node_rule(engine.state.visible, engine.oracle, e)


@njit
def advance(engine: Engine, e: int, agent_tiers: int, since_s: float = -math.inf) -> int:
    """Run an environment under its rules until an agent must decide or the episode is over.

    Args:
        engine: The batch and its rules.
        e: Environment.
        agent_tiers: Bit t is set when an agent decides for tier t; 0 runs the whole episode.
        since_s: Simulated time before which the rules decide for the agent, too.

    Returns:
        The tier of the pending decision, NO_TIER at the end.
    """
    state = engine.state
    while True:
        tier = next_decision(state, engine.oracle, e, engine.reclaim_rule)
        if tier == NO_TIER or ((agent_tiers >> tier) & 1 and state.visible.clock[e].now_s >= since_s):
            return tier
        act(engine, e, tier, ask(engine, e, tier))


@njit_as(types.int64(ENGINE, types.int64, types.int64))
def run_until(engine: Engine, e: int, agent_tiers: int) -> int:
    """`advance` for Python."""
    return advance(engine, e, agent_tiers)


OWN = -1
"""In place of an action: what the rule of the pending decision's tier answers."""


@njit_as(types.int64(ENGINE, types.int64, types.int64, types.int64, types.float64))
def answer_and_run(engine: Engine, e: int, action: int, agent_tiers: int, since_s: float) -> int:
    """Answer the pending decision, then `advance`; for Python.

    Args:
        engine: The batch and its rules.
        e: Environment.
        action: In the engine's code, or `OWN`; an illegal one is replaced as in `act`.
        agent_tiers: As in `advance`.
        since_s: As in `advance`.

    Returns:
        The tier of the pending decision, NO_TIER at the end.
    """
    tier = int(engine.state.visible.clock[e].tier)
    if tier != NO_TIER:
        act(engine, e, tier, ask(engine, e, tier) if action == OWN else action)
    return advance(engine, e, agent_tiers, since_s)
