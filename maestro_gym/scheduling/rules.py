"""How a rule is declared: what it is called, what it may know, and the function that makes it what it is.

A file of ``baselines/`` and a file of a user hold one such declaration, ``RULE``. The registry completes it to a
policy (``baselines.registry.complete``), the same way for both.

| declare | with | makes |
| --- | --- | --- |
| `order_by` | ``key(view, oracle, e, stage) -> float``, smaller is sooner | an order of ready stages (global tier) |
| `route_by` | ``cost(view, e, stage, node) -> float``, smaller is better | a choice of node (cluster tier) |
| `give_by` | ``key(view, oracle, e, stage) -> float``, smaller is sooner | whose call gets a tool (global tier) |
| `scale_by` | ``target(view, e) -> int``, nodes that should be on | autoscaling (global tier) |
| `admit_by` | ``verdict(view, e, stage)``: ``ADMITS``, ``DEFERS`` or ``REJECTS`` | admission (global tier) |
| `serve_by` | an order and a reservation level | admission, reservation and promotion (node tier) |
| `hold_by` | ``fate(view, e, stage, node) -> int``, a code of ``actions`` | contexts across tools (node tier) |
| `regroup_by` | ``degree(view, e, node) -> int``, GPUs of a node | tensor-parallel degree of a board (node tier) |
| `reclaim_by` | ``rank`` and ``cost`` of a candidate | who gives way when memory is short |
| `scheduling.policy.Rule` | ``decide(view, oracle, e) -> int`` | any tier, from nothing |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from numba import types

from maestro_gym.core.boxed import first_class
from maestro_gym.core.compile import compile_fresh, njit
from maestro_gym.scheduling.numbers import Number
from maestro_gym.scheduling.policy import INFORMATION_CLASSES, RuleFunction
from maestro_gym.state import RESERVE_ADAPTIVE, View
from maestro_gym.state.types import HIDDEN, VIEW

KEY_TYPE = types.FunctionType(types.float64(VIEW, HIDDEN, types.int64, types.int64))
BAND_TYPE = types.FunctionType(types.int64(VIEW, types.int64, types.int64))
COST_TYPE = types.FunctionType(types.float64(VIEW, types.int64, types.int64, types.int64))
RANK_TYPE = types.FunctionType(types.int64(VIEW, types.int64, types.int64, types.boolean))
CANDIDATE_COST_TYPE = types.FunctionType(types.float64(VIEW, types.int64, types.int64))

VERDICT_TYPE = types.FunctionType(types.int64(VIEW, types.int64, types.int64))

TARGET_TYPE = types.FunctionType(types.int64(VIEW, types.int64))

DEGREE_TYPE = types.FunctionType(types.int64(VIEW, types.int64, types.int64))

UNTIL_TYPE = types.FunctionType(types.float64(VIEW, types.int64, types.int64))

as_key, as_band, as_cost = first_class(KEY_TYPE), first_class(BAND_TYPE), first_class(COST_TYPE)
as_until = first_class(UNTIL_TYPE)
as_rank = first_class(RANK_TYPE)

ADMITS, DEFERS, REJECTS = range(3)
"""Verdicts on a workflow of which nothing was sent yet: it may be sent, it stays for now, it is turned away."""

Gate = Literal["open", "late", "held", "home", "bound-home"]
OPEN: Gate = "open"
"""A stage goes wherever there is room (early binding to any node)."""
LATE: Gate = "late"
"""A stage waits in the global queue for a node that has its model, see docs/late_binding.md."""
HELD: Gate = "held"
"""As ``LATE``, and it waits for a node that is not crowded (`late_binding.holds`)."""
HOME: Gate = "home"
"""A stage goes to the home nodes of its model only (No-Colocation), one absent model at a time."""
BOUND_HOME: Gate = "bound-home"
"""A stage goes to a home node of its model wherever there is room (early binding to homes)."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What every declaration says.

    Attributes:
        name: Short name, unique within its tier.
        information: What it reads: N past and present, P predictions too, O the true future.
        description: One line of what it does.
        source: Where it comes from; V, V-2nd, V-author and I as in docs/baselines.md.
        choice: What had to be chosen here because the source does not say, empty if nothing.
        rival: Whether the table of policies shows it completed, plainly and with Maestro's companions.
        numbers: Numbers that it reads at `numbers.places`, which a search may move.
    """

    name: str
    information: str
    description: str
    source: str
    choice: str = ""
    rival: bool = True
    numbers: tuple[Number, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an information class that does not exist."""
        if self.information not in INFORMATION_CLASSES:
            raise ValueError(f"information class {self.information!r} is none of {', '.join(INFORMATION_CLASSES)}")


@dataclass(frozen=True, kw_only=True)
class Order(Declared):
    """An order of stages: by band, strictly one after the other, inside a band by key, then by readiness.

    Attributes:
        key: ``(view, oracle, e, stage) -> float``, smaller is sooner; ``oracle`` is empty but for class O.
        band: ``(view, e, stage) -> int``, 0 is served first.
        slope: ``(view, e) -> float``: the least change of a key in a second, while a stage waits and no stage of its
            workflow finishes; its band must not fall then. None when there is no such number: every key is then looked
            at in every decision.
        until: ``(view, e, stage) -> float``: until when the key of a stage keeps to that [s].
        hold: ``(view, e, stage) -> bool``: whether the first of the order is kept in the global queue although a node
            is open to it; those behind it wait too, so its band puts it behind what may leave. None holds nothing.
        begin: ``(view, e) -> None``: brings the accounts that the order keeps up to now, before any key is asked; it
            may be called more than once in a decision. Which stages are asked for their key depends on what else is
            known, so accounts must not rest on that.
    """

    key: Callable[..., float]
    band: Callable[..., int]
    slope: Callable[..., float] | None = None
    until: Callable[..., float]
    hold: Callable[..., bool] | None = None
    begin: Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Admission(Declared):
    """Which workflows are admitted. It is part of the global rule, before any order, and inert without the switch.

    Attributes:
        verdict: ``(view, e, stage) -> int``, one of ``ADMITS``, ``DEFERS`` and ``REJECTS``, of the workflow of a stage
            in the global queue no stage of which was sent yet. It is asked anew in every global decision.
        defers: Whether it ever answers ``DEFERS``; every key of an order is then looked at in every decision.
    """

    verdict: Callable[..., int]
    defers: bool = False


@dataclass(frozen=True, kw_only=True)
class ToolOrder(Declared):
    """Whose call gets a place of a tool, of those that wait for one. It is part of the global rule.

    It is inert where no tool has finite places, and where there are places for all that wait.

    Attributes:
        key: ``(view, oracle, e, stage) -> float``, smaller is sooner, of a stage whose answer has arrived; on a tie the
            one that asked first. None takes that of the order of the global queue.
    """

    key: Callable[..., float] | None


@dataclass(frozen=True, kw_only=True)
class Autoscaling(Declared):
    """How many nodes should be on. It is part of the global rule, before admission, and inert without the switch.

    Attributes:
        target: ``(view, e) -> int``, nodes of the fleet that should be on, whatever the least and the greatest number
            are. It is asked once at each moment at which nodes may be started and stopped.
    """

    target: Callable[..., int]


@dataclass(frozen=True, kw_only=True)
class Regrouping(Declared):
    """How many GPUs the nodes of a board have. It is part of the node rule, and inert without the switch.

    Attributes:
        degree: ``(view, e, node) -> int``, GPUs that a node of the board of ``node``, its first that is ready, should
            have; what is no degree of the scenario leaves the board as it is. It is asked once a board at each moment
            at which GPUs may be regrouped.
    """

    degree: Callable[..., int]


@dataclass(frozen=True, kw_only=True)
class Routing(Declared):
    """A choice of node, and the choice of cluster that goes with it.

    Attributes:
        gate: To which nodes a stage is open, one of ``OPEN``, ``LATE``, ``HELD``, ``HOME`` and
            ``BOUND_HOME``.
        cost: ``(view, e, stage, node) -> float``; the open node of least cost is taken, the lower id on a tie.
        node: In place of ``cost``, ``(view, e, stage, cluster, gate) -> node`` among the nodes of a cluster, of the
            fleet when ``cluster`` is -1; -1 when none is open. ``gate`` is a number of ``late_binding.gates``.
        cluster: ``(view, e, stage, gate) -> cluster``; None takes the cluster of the best node of the fleet.
    """

    gate: Gate = LATE
    cost: Callable[..., float] | None = None
    node: Callable[..., int] | None = None
    cluster: Callable[..., int] | None = None


@dataclass(frozen=True, kw_only=True)
class NodeRule(Declared):
    """Admission, reservation and residency of a node.

    Attributes:
        decide: ``(view, oracle, e) -> node action``; None serves its queue by ``order``.
        order: Which waiting stage comes first.
        level: What an admission sets aside, one of ``RESERVE_*``.
        head_of_line: True admits only the head of each engine's queue (vLLM), False whatever fits.
        reclaim: Name of the reclaim rule that belongs to it wherever it goes; empty leaves that to its companions.
        table_name: Name of its policy in tables, when another tier has a rule of the same name.
    """

    decide: RuleFunction | None = None
    order: Order | None = None
    level: int = RESERVE_ADAPTIVE
    head_of_line: bool = False
    reclaim: str = ""
    table_name: str = ""


@dataclass(frozen=True, kw_only=True)
class ContextRule(Declared):
    """What becomes of the KV of a context while its tool runs: part of the node rule, and inert without the switch.

    Attributes:
        fate: ``(view, e, stage, node) -> int``, asked when a stage that calls a tool has its last token. Its context
            stays in the cache while nobody needs the room (``LEAVE``), goes at once (``DROP``), goes to the memory of
            the host (``OFFLOAD``) or is held for a time (``hold_code``), see `scheduling.actions`.
    """

    fate: Callable[..., int]


@dataclass(frozen=True, kw_only=True)
class ReclaimRule(Declared):
    """Who gives way when memory is short: the least rank, inside it the least cost, then the first offered.

    Attributes:
        rank: ``(view, e, candidate, growth) -> int``; ``growth`` says that a running stage could not grow.
        cost: ``(view, e, candidate) -> float``.
        oracle_cost: In place of ``cost``, ``(view, oracle, e, candidate) -> float`` of a rule of class O.
    """

    rank: Callable[..., int]
    cost: Callable[..., float] | None = None
    oracle_cost: Callable[..., float] | None = None


@njit
def one_band(view: View, e: int, stage: int) -> int:
    """All stages in one band."""
    return 0


@njit
def keeps(view: View, e: int) -> float:
    """The slope of keys that never fall."""
    return 0.0


@njit
def nothing_to_begin(view: View, e: int) -> None:
    """An order that keeps no accounts."""


@njit
def always(view: View, e: int, stage: int) -> float:
    """A key that keeps to the slope as long as its stage waits."""
    return math.inf


def order_by(
    key: Callable[..., float],
    *,
    band: Callable[..., int] = one_band,
    slope: Callable[..., float] | None = None,
    until: Callable[..., float] = always,
    hold: Callable[..., bool] | None = None,
    begin: Callable[..., None] = nothing_to_begin,
    **about: Any,  # noqa: ANN401
) -> Order:
    """Declare an order of stages.

    Args:
        key: As in `Order`; a plain function is compiled.
        band: As in `Order`.
        slope: As in `Order`; `keeps` for keys that stay as they are. It spares decisions the walk along a long queue.
        until: As in `Order`.
        hold: As in `Order`.
        begin: As in `Order`.
        **about: Fields of `Declared`.
    """
    key, band, until, begin = compile_fresh(key), compile_fresh(band), compile_fresh(until), compile_fresh(begin)
    slope = None if slope is None else compile_fresh(slope)
    hold = None if hold is None else compile_fresh(hold)
    return Order(key=key, band=band, slope=slope, until=until, hold=hold, begin=begin, **about)


def admit_by(verdict: Callable[..., int], *, defers: bool = False, **about: Any) -> Admission:  # noqa: ANN401
    """Declare a rule of admission.

    Args:
        verdict: As in `Admission`; a plain function is compiled.
        defers: As in `Admission`.
        **about: Fields of `Declared`.
    """
    return Admission(verdict=compile_fresh(verdict), defers=defers, **about)


def give_by(key: Callable[..., float], **about: Any) -> ToolOrder:  # noqa: ANN401
    """Declare an order of the calls that wait for a place of a tool.

    Args:
        key: As in `ToolOrder`; a plain function is compiled.
        **about: Fields of `Declared`.
    """
    return ToolOrder(key=compile_fresh(key), **about)


def scale_by(target: Callable[..., int], **about: Any) -> Autoscaling:  # noqa: ANN401
    """Declare a rule of autoscaling.

    Args:
        target: As in `Autoscaling`; a plain function is compiled.
        **about: Fields of `Declared`.
    """
    return Autoscaling(target=compile_fresh(target), **about)


def regroup_by(degree: Callable[..., int], **about: Any) -> Regrouping:  # noqa: ANN401
    """Declare a rule of elastic parallelism.

    Args:
        degree: As in `Regrouping`; a plain function is compiled.
        **about: Fields of `Declared`.
    """
    return Regrouping(degree=compile_fresh(degree), **about)


def route_by(cost: Callable[..., float], *, gate: Gate = LATE, **about: Any) -> Routing:  # noqa: ANN401
    """Declare a choice of node by its cost.

    Args:
        cost: As in `Routing`; a plain function is compiled.
        gate: As in `Routing`.
        **about: Fields of `Declared`.
    """
    return Routing(cost=compile_fresh(cost), gate=gate, **about)


def serve_by(order: Order, level: int, *, head_of_line: bool = False, **about: Any) -> NodeRule:  # noqa: ANN401
    """Declare a node rule that serves its queue in an order.

    Args:
        order: Which waiting stage comes first.
        level: What an admission sets aside, one of ``RESERVE_*``.
        head_of_line: As in `NodeRule`.
        **about: Other fields of `NodeRule` and of `Declared`.
    """
    return NodeRule(order=order, level=level, head_of_line=head_of_line, **about)


def hold_by(fate: Callable[..., int], **about: Any) -> ContextRule:  # noqa: ANN401
    """Declare what becomes of contexts while their tools run.

    Args:
        fate: As in `ContextRule`; a plain function is compiled.
        **about: Fields of `Declared`.
    """
    return ContextRule(fate=compile_fresh(fate), **about)


def reclaim_by(rank: Callable[..., int], cost: Callable[..., float], **about: Any) -> ReclaimRule:  # noqa: ANN401
    """Declare a reclaim rule.

    Args:
        rank: As in `ReclaimRule`; a plain function is compiled.
        cost: As in `ReclaimRule`.
        **about: Fields of `Declared`.
    """
    return ReclaimRule(rank=compile_fresh(rank), cost=compile_fresh(cost), **about)
