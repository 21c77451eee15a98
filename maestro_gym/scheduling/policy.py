"""Rules and policies: who answers for which tier, and what it may read to do so.

A *rule* answers for one tier. A *policy* has four: global, cluster and node, and reclaim, which is asked within
decisions of the node tier when memory is short. How rules are declared stands in ``rules.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numba import types

from maestro_gym.scheduling.fitness_scale import FitnessScale
from maestro_gym.scheduling.numbers import Family, Number
from maestro_gym.scheduling.tiers import RULE_TIERS
from maestro_gym.state.types import HIDDEN, VIEW

INFORMATION_CLASSES = ("N", "P", "O")
"""N reads past and present only, P predictions too, O the true future."""

INFORMATION_NAMES = {"N": "past and present", "P": "predictions", "O": "oracle"}

RULE_TYPE = types.FunctionType(types.int64(VIEW, HIDDEN, types.int64))
"""Type of a compiled rule: (View, Hidden, e) -> int64."""

RuleFunction = Callable[[Any, Any, int], int]
"""``(view: View, oracle: Hidden, e: int) -> int``; compiled by numba unless it is switched off."""


@dataclass(frozen=True)
class Rule:
    """The answer for one tier.

    Attributes:
        name: Short name, unique within its tier.
        tier: One of ``RULE_TIERS``. A global rule returns an action code (0 wait,
            1 + stage * C + cluster), a cluster rule a node id, a node rule an action code
            (``sim.actions``), a reclaim rule an index into ``view.reclaim`` or -1.
        information: The class of what it reads, one of ``INFORMATION_CLASSES``.
        description: One line of what it does.
        source: Where the rule comes from.
        choice: What had to be chosen here because the source does not say, empty if nothing.
        function: The rule itself.
        numbers: Numbers that it reads at `numbers.places`, which a search may move.
        orders_tools: A global rule that also answers `tool_view.is_tool_decision`, with the stage whose call gets the
            place; without it the first that asked gets it.
        decides_contexts: A node rule that also answers `tool_view.is_context_decision`, with a code of
            `scheduling.actions`; without it a context stays while nobody needs its room.
        chooses_degree: A node rule that also answers `legal.may_regroup`, with how the GPUs of the node's board are
            grouped; without it they stay as they are.
    """

    name: str
    tier: str
    information: str
    description: str
    source: str
    choice: str
    function: RuleFunction
    numbers: tuple[Number, ...] = field(default=(), kw_only=True)
    orders_tools: bool = field(default=False, kw_only=True)
    decides_contexts: bool = field(default=False, kw_only=True)
    chooses_degree: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a tier or an information class that does not exist."""
        if self.tier not in RULE_TIERS:
            raise ValueError(f"tier {self.tier!r} is none of {', '.join(RULE_TIERS)}")
        if self.information not in INFORMATION_CLASSES:
            raise ValueError(f"information class {self.information!r} is none of {', '.join(INFORMATION_CLASSES)}")


@dataclass(frozen=True)
class Policy:
    """A complete scheduler: a rule for every tier.

    Attributes:
        name: As in tables.
        description: One line of what it is compared for.
        global_rule: Order of the ready stages and choice of cluster.
        cluster_rule: Choice of node.
        node_rule: Admission, reservation and residency.
        reclaim_rule: What gives way when memory is short.
        spec: What ``load_policy`` was asked for; loads the same policy in another process.
        numbers: What its rules read from ``view.numbers``, at most ``state.NUMBERS``; empty leaves them as they are.
        family: What these numbers are; None where it has none.
        scale: The scenario's percentiles of Maestro's fitness, for rules that read it.
    """

    name: str
    description: str
    global_rule: Rule
    cluster_rule: Rule
    node_rule: Rule
    reclaim_rule: Rule
    spec: str = ""
    numbers: tuple[float, ...] = ()
    family: Family | None = None
    scale: FitnessScale = field(default_factory=FitnessScale)

    @property
    def rules(self) -> tuple[Rule, Rule, Rule, Rule]:
        """The rules in the order global, cluster, node, reclaim."""
        return self.global_rule, self.cluster_rule, self.node_rule, self.reclaim_rule

    @property
    def information(self) -> str:
        """The most that any of its rules reads: N, P or O."""
        return max((rule.information for rule in self.rules), key=INFORMATION_CLASSES.index)

    @property
    def reads_oracle(self) -> bool:
        """Whether any of its rules must be handed the true future."""
        return self.information == "O"
