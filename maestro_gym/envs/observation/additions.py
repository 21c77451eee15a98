"""What switches of a scenario add to an observation: blocks of columns, and actions for the decisions that they bring.

The columns of an addition stand behind all others, its actions behind those of their tier, and both only where the
scenario has the switch: everywhere else an observation is what it was before there was one. A new addition is an entry
of `ADDITIONS`, its blocks in ``layout.BLOCKS``, and what calls their writers in ``observe.py`` or ``node_rows.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from maestro_gym.scheduling.tiers import TIER_CONTEXT, TIER_TOOL
from maestro_gym.state import DUTY_BOTH, World

Blocks = Mapping[str, tuple[str, ...]]
"""Blocks by what the agent drives, a name of ``layout.TIER_SPECS``."""


@dataclass(frozen=True)
class Addition:
    """What one switch adds.

    Attributes:
        name: As in fingerprints of observations.
        switch: What a user sets.
        is_on: Whether a fleet has it.
        rows: Blocks of a candidate.
        context: Blocks of the context.
        actions: What it lets an agent do, in words and in their order.
        asks: TIER_* of a question that only it brings, None where the tiers are asked as before.
    """

    name: str
    switch: str
    is_on: Callable[[World], bool]
    rows: Blocks = field(default_factory=dict)
    context: Blocks = field(default_factory=dict)
    actions: str = ""
    asks: int | None = None

    @property
    def tiers(self) -> set[str]:
        """Names of the observations to which it adds something."""
        return {*self.rows, *self.context}


def _tells_tenants_apart(world: World) -> bool:
    tenants = world.tenants
    return bool(np.isfinite(tenants["quota_tokens_per_s"]).any() or np.ptp(tenants["weight"]) > 0.0)


def _on(name: str) -> Callable[[World], bool]:
    return lambda world: bool(world.params[name][0] > 0)


def _everywhere(block: str, *tiers: str) -> Blocks:
    return dict.fromkeys((*tiers, "joint"), (block,))


ADDITIONS = {
    addition.name: addition
    for addition in (
        Addition(
            "tenants",
            "weights or quotas of `workload.tenants`",
            _tells_tenants_apart,
            rows=_everywhere("tenant", "global", "node"),
            context=_everywhere("tenant", "cluster"),
        ),
        Addition(
            "pools",
            "`fleet.disaggregation`",
            lambda world: bool((world.nodes["duty"] != DUTY_BOTH).any()),
            rows=_everywhere("duty", "cluster"),
            context=_everywhere("handover", "cluster"),
        ),
        Addition(
            "tools",
            "`workload.tools`",
            lambda world: len(world.tools) > 0,
            rows=_everywhere("call", "global"),
            actions="K: give the tool's free place to a stage that waits for it",
            asks=TIER_TOOL,
        ),
        Addition(
            "scaling",
            "`limits.autoscaling`",
            _on("scale_period_s"),
            rows=_everywhere("power", "global"),
            context=_everywhere("scale", "global"),
            actions="N: start a node; N: stop one",
        ),
        Addition(
            "degrees",
            "`limits.parallelism`",
            _on("regroup_period_s"),
            rows=_everywhere("degree", "node"),
            context=_everywhere("board", "node"),
            actions="one a degree, the smallest first: group the GPUs of the node's board so; to wait leaves them",
        ),
        Addition(
            "contexts",
            "`limits.context_hold_max_s`",
            _on("context_hold_max_s"),
            rows=_everywhere("fate", "node"),
            context={"node": ("kept", "stage"), "joint": ("kept",)},
            actions="leave a context in the cache, drop it, offload it, hold it for 1/8, 1/4, 1/2 or all of the limit",
            asks=TIER_CONTEXT,
        ),
    )
}
"""All additions by name, in the order in which they stand."""
