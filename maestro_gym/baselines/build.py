"""From declarations (``scheduling.rules``) to compiled rules: what is put around an order, a cost, a rank."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from zlib import crc32

from maestro_gym.baselines.late_binding.bounds import Keys
from maestro_gym.baselines.late_binding.choose_node import best_node
from maestro_gym.baselines.late_binding.gates import (
    GATE_BOUND_HOME,
    GATE_CLUSTER,
    GATE_FLEET,
    GATE_HELD,
    GATE_HOME,
    GATE_NONE,
)
from maestro_gym.baselines.late_binding.send import first_in_order
from maestro_gym.baselines.late_binding.serve import serve_queue
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import WAIT, regroup_code, reject_code, send_code, sent_stage
from maestro_gym.scheduling.legal import can_regroup, can_reject, may_regroup, may_reject, may_scale
from maestro_gym.scheduling.policy import INFORMATION_CLASSES, Rule, RuleFunction
from maestro_gym.scheduling.rules import (
    BOUND_HOME,
    DEFERS,
    HELD,
    HOME,
    LATE,
    OPEN,
    REJECTS,
    Admission,
    Autoscaling,
    ContextRule,
    NodeRule,
    Order,
    ReclaimRule,
    Regrouping,
    Routing,
    ToolOrder,
    as_band,
    as_cost,
    as_key,
    as_until,
)
from maestro_gym.scheduling.scaling import is_new_moment, note_target, noted_target, step_towards
from maestro_gym.scheduling.tool_view import (
    first_at_tool,
    is_context_decision,
    is_tool_decision,
    next_at_tool,
    stage_of_context,
    tool_to_give,
)
from maestro_gym.scheduling.view import (
    cluster_of,
    cluster_to_route_in,
    may_wait,
    node_to_serve,
    num_ready,
    ready_stage,
    stage_to_route,
)
from maestro_gym.state import Hidden, View

_DEFERRED: Final = 1 << 20
"""Added to the band of what is deferred, so that it is behind all that may be sent."""

_GATES = {OPEN: GATE_NONE, LATE: GATE_FLEET, HELD: GATE_HELD, HOME: GATE_HOME, BOUND_HOME: GATE_BOUND_HOME}


def gate_of(routing: Routing) -> int:
    """The gate of the global tier that goes with a routing, one of ``gates.GATE_*``."""
    return _GATES[routing.gate]


def _node_of(routing: Routing) -> Callable[..., int]:
    """The choice of node of a routing: ``(view, e, stage, cluster, gate) -> node``."""
    if routing.node is not None:
        return routing.node
    cost = routing.cost

    @njit
    def node(view: View, e: int, stage: int, cluster: int, gate: int) -> int:
        return best_node(view, e, stage, cluster, as_cost(cost), gate)

    return node


def _cluster_of(routing: Routing) -> Callable[..., int]:
    """The choice of cluster that goes with a routing: ``(view, e, stage, gate) -> cluster``."""
    if routing.cluster is not None:
        return routing.cluster
    node = _node_of(routing)

    @njit
    def cluster(view: View, e: int, stage: int, gate: int) -> int:
        return cluster_of(view, node(view, e, stage, -1, gate))

    return cluster


@njit
def _unknown(view: View, e: int) -> float:
    """The slope of keys that may fall at any time."""
    return -math.inf


def first_of(order: Order) -> Callable[..., int]:
    """The first stage of an order: ``(view, oracle, e, gate) -> stage``."""
    band, key, until, slope, begin = order.band, order.key, order.until, order.slope or _unknown, order.begin
    number = crc32(order.name.encode()) + 1

    @njit
    def first(view: View, oracle: Hidden, e: int, gate: int) -> int:
        begin(view, e)
        keys = Keys(as_band(band), as_key(key), as_until(until), slope(view, e), number)
        return first_in_order(view, oracle, e, keys, gate)

    return first


def _holding(rule: RuleFunction, hold: Callable[..., bool]) -> RuleFunction:
    """A global rule that waits while the stage that it would send is held; where it may not wait, it sends."""

    @njit
    def holding(view: View, oracle: Hidden, e: int) -> int:
        action = rule(view, oracle, e)
        if action != WAIT and may_wait(view, e) and hold(view, e, sent_stage(view, action)):
            return WAIT
        return action

    return holding


def _deferring(order: Order, admission: Admission) -> Order:
    """An order that keeps what is deferred, behind everything else."""
    verdict, band, hold = admission.verdict, order.band, order.hold

    @njit
    def is_deferred(view: View, e: int, stage: int) -> bool:
        return can_reject(view, e, stage) and verdict(view, e, stage) == DEFERS

    @njit
    def its_band(view: View, e: int, stage: int) -> int:
        return band(view, e, stage) + (_DEFERRED if is_deferred(view, e, stage) else 0)

    # A band falls when a workflow is let in, so that what was noted of blocks is no bound.
    order = replace(order, band=its_band, hold=is_deferred, slope=None)
    if hold is None:
        return order

    @njit
    def holds(view: View, e: int, stage: int) -> bool:
        return is_deferred(view, e, stage) or hold(view, e, stage)

    return replace(order, hold=holds)


def _admitting(rule: RuleFunction, admission: Admission) -> RuleFunction:
    """A global rule that turns away whom a rule of admission rejects, one by one, before it sends anything."""
    verdict = admission.verdict

    @njit
    def admitting(view: View, oracle: Hidden, e: int) -> int:
        if may_reject(view):
            for i in range(num_ready(view, e)):
                stage = ready_stage(view, e, i)
                if can_reject(view, e, stage) and verdict(view, e, stage) == REJECTS:
                    return reject_code(view, stage)
        return rule(view, oracle, e)

    return admitting


@njit
def first_call(view: View, oracle: Hidden, e: int, key: Callable[..., float]) -> int:
    """Stage of least key among those that wait for the tool of the pending decision; the first that asked on a tie."""
    best = first_at_tool(view, e, tool_to_give(view, e))
    best_key = key(view, oracle, e, best)
    stage = next_at_tool(view, e, best)
    while stage >= 0:
        its_key = key(view, oracle, e, stage)
        if its_key < best_key:
            best, best_key = stage, its_key
        stage = next_at_tool(view, e, stage)
    return best


def _giving(rule: RuleFunction, order: Order, tools: ToolOrder) -> RuleFunction:
    """A global rule that also says whose call gets a place of a tool."""
    key = tools.key or order.key

    @njit
    def giving(view: View, oracle: Hidden, e: int) -> int:
        return first_call(view, oracle, e, as_key(key)) if is_tool_decision(view, e) else rule(view, oracle, e)

    return giving


def _scaling(rule: RuleFunction, autoscaling: Autoscaling) -> RuleFunction:
    """A global rule that starts and stops nodes, one by one, towards a target, before it does anything else."""
    target = autoscaling.target

    @njit
    def scaling(view: View, oracle: Hidden, e: int) -> int:
        if may_scale(view, e):
            if is_new_moment(view, e):
                note_target(view, e, target(view, e))
            action = step_towards(view, e, noted_target(view, e))
            if action != WAIT:
                return action
        return rule(view, oracle, e)

    return scaling


def global_rule(
    order: Order,
    placement: Routing,
    admission: Admission | None = None,
    tools: ToolOrder | None = None,
    autoscaling: Autoscaling | None = None,
) -> Rule:
    """The first stage of an order that some node is open to goes to the cluster that a routing prefers.

    Args:
        order: Of the ready stages.
        placement: Whose best node chooses the cluster; its gate says which stages may go.
        admission: Who is turned away or held back before; None admits all.
        tools: Whose call gets a place of a tool; None gives it to the first that asked.
        autoscaling: How many nodes should be on; None leaves them as they are.

    Returns:
        The rule ``order/placement``, with ``/admission``, ``/autoscaling`` and ``/tools`` behind it where there is one
        of another name.
    """
    own_order = order
    if admission is not None and admission.defers:
        order = _deferring(order, admission)
    gate, cluster = gate_of(placement), _cluster_of(placement)
    first = first_of(order)

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        limit = gate
        stage = first(view, oracle, e, limit)
        if stage < 0 and gate == GATE_HELD and not may_wait(view, e):
            limit = GATE_FLEET
            stage = first(view, oracle, e, limit)
        if stage < 0 and not may_wait(view, e):
            limit = GATE_NONE
            stage = first(view, oracle, e, limit)
        if stage < 0:
            return WAIT
        return send_code(view, stage, cluster(view, e, stage, limit))

    made = Rule(
        name=f"{order.name}/{placement.name}",
        tier="global",
        information=max(order.information, placement.information, key=INFORMATION_CLASSES.index),
        description=f"{order.description}; cluster of the best node by {placement.name}",
        source=order.source,
        choice=order.choice,
        function=rule if order.hold is None else _holding(rule, order.hold),
        numbers=order.numbers or placement.numbers,
    )
    if admission is not None:
        made = _with(made, admission, _admitting(made.function, admission), own_order.name)
    if autoscaling is not None:
        made = _with(made, autoscaling, _scaling(made.function, autoscaling), own_order.name)
    # Outermost: a decision on a place of a tool is no moment to scale.
    if tools is None:
        return made
    giving = _giving(made.function, own_order, tools)
    return replace(_with(made, tools, giving, own_order.name), orders_tools=True)


def _with(
    made: Rule,
    part: Admission | Autoscaling | ContextRule | Regrouping | ToolOrder,
    function: RuleFunction,
    own_name: str,
) -> Rule:
    """A rule with another part of it in front, which its name tells unless it is of the same name."""
    return replace(
        made,
        name=made.name if part.name == own_name else f"{made.name}/{part.name}",
        information=max(made.information, part.information, key=INFORMATION_CLASSES.index),
        description=f"{part.description}; {made.description}",
        function=function,
        numbers=made.numbers or part.numbers,
    )


def cluster_rule(routing: Routing) -> Rule:
    """A stage goes to the node that a routing prefers.

    A cluster cannot decline: where no node is open under the routing's gate, any with room will do.
    """
    gate = GATE_CLUSTER if routing.gate in (LATE, HELD) else gate_of(routing)
    choose = _node_of(routing)

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        stage, cluster = stage_to_route(view, e), cluster_to_route_in(view, e)
        node = choose(view, e, stage, cluster, gate)
        return node if node >= 0 else choose(view, e, stage, cluster, GATE_NONE)

    return rule_of(routing, "cluster", rule)


def _holding_contexts(made: Rule, contexts: ContextRule) -> Rule:
    """A node rule that also says what becomes of a context while its tool runs."""
    rule, fate = made.function, contexts.fate

    @njit
    def holding(view: View, oracle: Hidden, e: int) -> int:
        if not is_context_decision(view, e):
            return rule(view, oracle, e)
        stage = stage_of_context(view, e)
        return fate(view, e, stage, int(view.stages[e, stage].node))

    return replace(_with(made, contexts, holding, made.name), decides_contexts=True)


def _regrouping(made: Rule, regrouping: Regrouping) -> Rule:
    """A node rule that also says how the GPUs of its board are grouped."""
    rule, degree = made.function, regrouping.degree

    @njit
    def choosing(view: View, oracle: Hidden, e: int) -> int:
        if not may_regroup(view, e):
            return rule(view, oracle, e)
        gpus = degree(view, e, node_to_serve(view, e))
        return regroup_code(view, gpus) if can_regroup(view, e, node_to_serve(view, e), gpus) else WAIT

    return replace(_with(made, regrouping, choosing, made.name), chooses_degree=True)


def node_rule(declared: NodeRule, contexts: ContextRule | None = None, regrouping: Regrouping | None = None) -> Rule:
    """A node serves its queue in an order, or as the declaration decides.

    Args:
        declared: Admission, reservation and residency.
        contexts: What becomes of a context while its tool runs; None leaves it in the cache.
        regrouping: How many GPUs the nodes of its board have; None leaves them as they are.
    """
    made = _node_rule(declared)
    made = made if contexts is None else _holding_contexts(made, contexts)
    return made if regrouping is None else _regrouping(made, regrouping)


def _node_rule(declared: NodeRule) -> Rule:
    if declared.decide is not None:
        return rule_of(declared, "node", declared.decide)
    if declared.order is None:
        raise ValueError(f"node rule {declared.name!r} has neither an order nor a function of its own")
    key, band = declared.order.key, declared.order.band
    level, head_of_line = declared.level, declared.head_of_line

    @njit
    def rule(view: View, oracle: Hidden, e: int) -> int:
        return serve_queue(view, oracle, e, as_band(band), as_key(key), level, head_of_line)

    return rule_of(declared, "node", rule)


def rule_of(declared: Routing | NodeRule | ReclaimRule, tier: str, function: RuleFunction) -> Rule:
    """The rule of a tier that a declaration and its compiled function make.

    Args:
        declared: What is said of it.
        tier: ``cluster``, ``node`` or ``reclaim``.
        function: What it does.
    """
    return Rule(
        name=declared.name,
        tier=tier,
        information=declared.information,
        description=declared.description,
        source=declared.source,
        choice=declared.choice,
        function=function,
        numbers=declared.numbers,
    )
