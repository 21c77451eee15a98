"""What policies are made of: the rules by name, what is put around one of them, and its form that binds early.

A rule is a file of ``admission/``, ``autoscale/``, ``tools/``, ``orders/``, ``cluster/``, ``node/``, ``contexts/``,
``elastic/`` or ``reclaim/``; this module finds it there.
`complete_parts` puts the other tiers around it: ``plain`` companions (FCFS, warm join-shortest-queue, vLLM's own
admission) or those of ``maestro``. `bound_early` takes the gates of late binding from any policy.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args

from maestro_gym.baselines import admission, autoscale, cluster, contexts, elastic, node, orders, reclaim, tools
from maestro_gym.baselines.build import cluster_rule, global_rule, node_rule
from maestro_gym.baselines.build_reclaim import reclaim_rule
from maestro_gym.config import hint
from maestro_gym.config.base import shortened
from maestro_gym.core.errors import MaestroError
from maestro_gym.scheduling.fitness_scale import FitnessScale
from maestro_gym.scheduling.numbers import Family
from maestro_gym.scheduling.policy import INFORMATION_CLASSES, Policy
from maestro_gym.scheduling.rules import (
    BOUND_HOME,
    HELD,
    HOME,
    LATE,
    OPEN,
    Admission,
    Autoscaling,
    ContextRule,
    Declared,
    Gate,
    NodeRule,
    Order,
    ReclaimRule,
    Regrouping,
    Routing,
    ToolOrder,
)

Around = Literal["plain", "maestro"]
"""Whose rules stand around a rule: plain ones, or Maestro's."""

AROUND: tuple[Around, ...] = get_args(Around)

EARLY = "early"
"""The word after ``@`` in the name of a policy that binds early: ``edf@early``."""

_BOUND_GATE: dict[Gate, Gate] = {LATE: OPEN, HELD: OPEN, HOME: BOUND_HOME}
"""The gate of the early form, for each gate that keeps a stage in the global queue."""

DeclaredT = TypeVar("DeclaredT", bound=Declared)


def _found(package: object, kind: type[DeclaredT]) -> dict[str, DeclaredT]:
    """The rules of a folder by name: every module in it that holds a ``RULE``."""
    rules: dict[str, DeclaredT] = {}
    path, prefix = package.__path__, f"{package.__name__}."  # pyright: ignore[reportAttributeAccessIssue]
    for module in pkgutil.iter_modules(path, prefix):
        rule = getattr(importlib.import_module(module.name), "RULE", None)
        if rule is None:
            continue
        if not isinstance(rule, kind) or rule.name in rules:
            raise ValueError(f"{module.name}: RULE must be a {kind.__name__} with a name of its own")
        rules[rule.name] = rule
    return rules


ORDERS = _found(orders, Order)
ROUTINGS = _found(cluster, Routing)
NODE_RULES = _found(node, NodeRule)
RECLAIM_RULES = _found(reclaim, ReclaimRule)
ADMISSIONS = _found(admission, Admission)
TOOL_ORDERS = _found(tools, ToolOrder)
AUTOSCALINGS = _found(autoscale, Autoscaling)
CONTEXT_RULES = _found(contexts, ContextRule)
REGROUPINGS = _found(elastic, Regrouping)

RULES: tuple[dict[str, Any], ...] = (
    ORDERS,
    ROUTINGS,
    NODE_RULES,
    RECLAIM_RULES,
    ADMISSIONS,
    TOOL_ORDERS,
    AUTOSCALINGS,
    CONTEXT_RULES,
    REGROUPINGS,
)
"""All rules, by what they decide and then by name."""


@dataclass(frozen=True)
class Parts:
    """What a policy is made of, declared and not yet compiled.

    Attributes:
        order: Order of the ready stages, global tier.
        placement: Whose best node chooses the cluster, global tier.
        routing: Choice of node, cluster tier.
        node: Admission, reservation and residency, node tier.
        reclaim: What gives way when memory is short.
        description: What the policy is compared for.
        numbers: What its rules read from ``view.numbers``.
        family: What these numbers are.
        admission: Which workflows are admitted, global tier; None admits all.
        tools: Whose call gets a place of a tool, global tier; None gives it to the first that asked.
        autoscaling: How many nodes should be on, global tier; None leaves them as they are.
        contexts: What becomes of a context while its tool runs, node tier; None leaves it in the cache.
        regrouping: How many GPUs a node has, node tier; None leaves them as they are.
    """

    order: Order
    placement: Routing
    routing: Routing
    node: NodeRule
    reclaim: ReclaimRule
    description: str
    numbers: tuple[float, ...] = ()
    family: Family | None = None
    admission: Admission | None = None
    tools: ToolOrder | None = None
    autoscaling: Autoscaling | None = None
    contexts: ContextRule | None = None
    regrouping: Regrouping | None = None

    def compiled(self, name: str, scale: FitnessScale, spec: str) -> Policy:
        """The policy under a name; its functions compile when they are first called."""
        return Policy(
            name=name,
            description=self.description,
            global_rule=global_rule(self.order, self.placement, self.admission, self.tools, self.autoscaling),
            cluster_rule=cluster_rule(self.routing),
            node_rule=node_rule(self.node, self.contexts, self.regrouping),
            reclaim_rule=reclaim_rule(self.reclaim),
            spec=spec,
            numbers=self.numbers,
            family=self.family,
            scale=scale,
        )


COMPANIONS: dict[Around, Parts] = {
    "plain": Parts(
        order=ORDERS["fcfs"],
        placement=ROUTINGS["warm-jsq"],
        routing=ROUTINGS["warm-jsq"],
        node=NODE_RULES["vllm"],
        reclaim=RECLAIM_RULES["vllm"],
        description="plain companions",
    ),
    "maestro": Parts(
        order=ORDERS["maestro"],
        placement=ROUTINGS["maestro"],
        routing=ROUTINGS["maestro"],
        node=NODE_RULES["maestro"],
        reclaim=RECLAIM_RULES["least-harm"],
        description="Maestro complete",
    ),
}


def complete_parts(rule: Declared, around: Around) -> Parts:
    """Put the rules of the other tiers around a declared rule.

    A routing brings the choice of cluster that goes with it, a node rule the reclaim rule that belongs to it; numbers
    that the rule declares have their defaults.
    """
    parts = COMPANIONS[around]
    if isinstance(rule, Order):
        words, parts = ("global", "Maestro below"), replace(parts, order=rule)
    elif isinstance(rule, Admission):
        words, parts = ("admission", "Maestro behind it"), replace(parts, admission=rule)
    elif isinstance(rule, ToolOrder):
        words, parts = ("tool", "Maestro around it"), replace(parts, tools=rule)
    elif isinstance(rule, Autoscaling):
        words, parts = ("autoscaling", "Maestro behind it"), replace(parts, autoscaling=rule)
    elif isinstance(rule, ContextRule):
        words, parts = ("context", "Maestro around it"), replace(parts, contexts=rule)
    elif isinstance(rule, Regrouping):
        words, parts = ("elastic parallelism", "Maestro around it"), replace(parts, regrouping=rule)
    elif isinstance(rule, Routing):
        words, parts = ("cluster", "Maestro around it"), replace(parts, placement=rule, routing=rule)
    elif isinstance(rule, NodeRule):
        words, parts = ("node", "Maestro above"), replace(parts, node=rule)
        if rule.reclaim:
            parts = replace(parts, reclaim=RECLAIM_RULES[rule.reclaim])
    elif isinstance(rule, ReclaimRule):
        words, parts = ("reclaim", "Maestro above"), replace(parts, reclaim=rule)
    else:
        raise TypeError(f"{type(rule).__name__} is no rule that can be completed")
    tail = f", {words[1]}" if around == "maestro" else ""
    parts = replace(parts, description=f"{words[0]} rival: {rule.name}{tail}")
    if not rule.numbers:
        return parts
    family = Family(name_of(rule, around), rule.numbers)
    return replace(parts, numbers=family.in_view(family.defaults()), family=family)


def name_of(rule: Declared, around: Around) -> str:
    """What the table of policies calls a rule with its companions."""
    name = getattr(rule, "table_name", "") or rule.name
    return name if around == "plain" else f"{name}+{around}"


def bound_early(parts: Parts) -> Parts:
    """The same policy as the systems of the literature run it: a stage is bound to a node as soon as it is ready.

    The routing chooses among all nodes with room, by the same cost, and no gate keeps a stage in the global queue;
    No-Colocation's stages go at once to a home of their model. So the order has its say at the node: a companion's
    node rule that serves by an order serves by that of the policy. vLLM's keeps FCFS where the policy's is FCFS.
    """
    node, order = parts.node, parts.order
    plain = COMPANIONS["plain"]
    is_companion = any(node is around.node for around in COMPANIONS.values())
    if is_companion and node.order is not None and node.order is not order and order is not plain.order:
        node = replace(
            node,
            order=order,
            head_of_line=False,
            name=f"{node.name}/{order.name}",
            information=max(node.information, order.information, key=INFORMATION_CLASSES.index),
            description=f"{order.description}, among what fits; otherwise as {node.name}",
        )
    family = parts.family
    return replace(
        parts,
        placement=_opened(parts.placement),
        routing=_opened(parts.routing),
        node=node,
        family=None if family is None else replace(family, name=f"{family.name}@{EARLY}"),
        description=f"{parts.description}; bound at readiness",
    )


def _opened(routing: Routing) -> Routing:
    """A routing without the gate of late binding; one that has none stays as it is."""
    if routing.gate not in _BOUND_GATE:
        return routing
    return replace(routing, gate=_BOUND_GATE[routing.gate], name=f"{routing.name}@{EARLY}")


def split_binding(spec: str) -> tuple[str, bool]:
    """Part the word ``@early`` from what names a policy.

    Args:
        spec: Whatever names a policy.

    Returns:
        The rest, and whether the word was there.

    Raises:
        MaestroError: Another word stands after the ``@`` of a rule's name.
    """
    base, at, word = spec.rpartition("@")
    if at and word == EARLY:
        return base, True
    if at and word.isidentifier() and not any(mark in base for mark in "./\\:"):
        raise MaestroError(
            f"policy {shortened(spec)!r}: {hint(word, (EARLY,))} NAME@{EARLY} binds stages to nodes as soon "
            "as they are ready; without it a policy binds as docs/late_binding.md says."
        )
    return spec, False
