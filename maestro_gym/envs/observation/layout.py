"""Where everything stands in an observation: rows by tier, columns by block.

A new block is a file beside this one, an entry of `BLOCKS` and its name in the observations of `TIER_SPECS` that show
it, or in the addition that brings it (``additions.py``); what calls its writer is in ``observe.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from maestro_gym.core.compile import INTERPRETED
from maestro_gym.envs.observation.action import ACTION
from maestro_gym.envs.observation.additions import ADDITIONS
from maestro_gym.envs.observation.call import CALL
from maestro_gym.envs.observation.cluster import CLUSTER
from maestro_gym.envs.observation.columns import Block, Column
from maestro_gym.envs.observation.degree import BOARD, DEGREE
from maestro_gym.envs.observation.duty import DUTY, HANDOVER
from maestro_gym.envs.observation.fate import FATE, KEPT, NUM_FATES
from maestro_gym.envs.observation.fleet import FLEET
from maestro_gym.envs.observation.kinds import KIND, LEGAL, TIER
from maestro_gym.envs.observation.model import MODEL
from maestro_gym.envs.observation.node import NODE
from maestro_gym.envs.observation.pair import PAIR
from maestro_gym.envs.observation.power import POWER, SCALE
from maestro_gym.envs.observation.stage import STAGE
from maestro_gym.envs.observation.tenant import TENANT
from maestro_gym.scheduling.actions import num_global_actions, num_node_actions
from maestro_gym.scheduling.tiers import AGENT_TIERS, TIER_CLUSTER, TIER_GLOBAL, TIER_NODE
from maestro_gym.state import World

ABSENT = -1
"""Place of a block that an observation does not have."""

_OWN = (LEGAL, KIND, STAGE, NODE, MODEL, PAIR, CLUSTER, ACTION, FLEET, TIER)
_ADDED = (TENANT, DUTY, HANDOVER, CALL, POWER, SCALE, DEGREE, BOARD, FATE, KEPT)

BLOCKS: dict[str, Block] = {block.name: block for block in (*_OWN, *_ADDED)}
"""All blocks by name."""

LAYOUT = np.dtype(
    [
        ("tiers", "i8"),  # bit t: the agent decides for tier t
        ("predictions", "i8"),  # 0 for agents of information class N
        ("window", "i8"),  # K
        ("evaluation", "i8"),  # 1 drains after the horizon
        ("horizon_s", "f8"),
        ("rows_global", "i8"),  # first action of each tier
        ("rows_cluster", "i8"),
        ("rows_node", "i8"),
        ("rows_scaling", "i8"),  # first of those that an addition brings, ABSENT where there are none
        ("rows_tools", "i8"),
        ("rows_degrees", "i8"),
        ("rows_contexts", "i8"),
        *((name, "i8") for name in BLOCKS),  # first column of each block in a row, ABSENT where there is none
        *((f"context_{name}", "i8") for name in BLOCKS),  # the same in the context
    ]
)
"""An observation's layout, as compiled code reads it."""


@dataclass(frozen=True)
class TierSpec:
    """What one environment id shows.

    Attributes:
        name: As in the id, lower case.
        tiers: Bit t is set when the agent decides for tier t.
        row_blocks: Blocks of a candidate, in order.
        context_blocks: Blocks of the context, in order.
        additions: Names of ``additions.ADDITIONS`` that it shows.
    """

    name: str
    tiers: int
    row_blocks: tuple[str, ...]
    context_blocks: tuple[str, ...]
    additions: tuple[str, ...] = ()

    @property
    def row_columns(self) -> tuple[Column, ...]:
        """Columns of a candidate."""
        return tuple(column for block in self.row_blocks for column in BLOCKS[block].columns)

    @property
    def context_columns(self) -> tuple[Column, ...]:
        """Columns of the context."""
        return tuple(column for block in self.context_blocks for column in BLOCKS[block].columns)

    def with_additions(self, names: Iterable[str]) -> TierSpec:
        """What is shown where a scenario has more to decide.

        Args:
            names: Of ``additions.ADDITIONS``; those that add nothing to this observation are passed over.

        Raises:
            KeyError: There is no such addition.
        """
        wanted = {ADDITIONS[name].name for name in names}
        chosen = [a for a in ADDITIONS.values() if a.name in wanted and self.name in a.tiers]
        return replace(
            self,
            row_blocks=(*self.row_blocks, *(block for a in chosen for block in a.rows.get(self.name, ()))),
            context_blocks=(*self.context_blocks, *(block for a in chosen for block in a.context.get(self.name, ()))),
            additions=tuple(a.name for a in chosen),
        )

    @property
    def asked(self) -> int:
        """The set of TIER_* that its agent is asked."""
        more = [ADDITIONS[name].asks for name in self.additions]
        return self.tiers | sum(1 << tier for tier in more if tier is not None)


_SHOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "node": (("legal", "kind", "stage", "model", "pair", "action"), ("fleet", "node")),
    "cluster": (("legal", "node", "model", "pair"), ("fleet", "stage")),
    "global": (("legal", "kind", "stage", "cluster", "model", "pair"), ("fleet",)),
    "joint": (
        ("legal", "kind", "stage", "node", "model", "pair", "cluster", "action"),
        ("fleet", "tier", "stage", "node"),
    ),
}
"""Blocks of a candidate and of the context, by what the agent drives."""

TIER_SPECS = {name: TierSpec(name, AGENT_TIERS[name], *shown) for name, shown in _SHOWN.items()}
"""The four environments by name, as they are where a scenario has no more to decide."""


def spec_for(tier: str, world: World) -> TierSpec:
    """What an agent is shown of a fleet, with all that the scenario's switches add.

    Args:
        tier: A name of `TIER_SPECS`.
        world: The fleet.
    """
    return TIER_SPECS[tier].with_additions(name for name, addition in ADDITIONS.items() if addition.is_on(world))


def _places(blocks: tuple[str, ...]) -> dict[str, int]:
    places, at = {}, 0
    for block in blocks:
        places[block] = at
        at += len(BLOCKS[block].columns)
    return places


def num_actions(world: World, tier: int, window: int, queue: int) -> int:
    """Actions of one tier.

    Args:
        world: The fleet.
        tier: TIER_*.
        window: K, stages shown to the global tier.
        queue: Q, places of a node's queue.

    Returns:
        ``1 + K * C`` global, and K more where workflows may be rejected; the most nodes of a cluster; or
        ``1 + Q * R + 2 * M`` node actions.
    """
    if tier == TIER_GLOBAL:
        rejections = window if world.params["admission"][0] else 0
        return num_global_actions(window, len(world.latency_s)) + rejections
    if tier == TIER_CLUSTER:
        return int(np.bincount(world.nodes["cluster"]).max())
    return num_node_actions(queue, len(world.models))


def _num_added(world: World, addition: str, window: int) -> int:
    """Actions that an addition brings: two a node, one a shown stage, one a degree, one a fate."""
    if addition == "scaling":
        return 2 * len(world.nodes)
    if addition == "tools":
        return window
    if addition == "degrees":
        return len(np.unique(world.nodes["gpus"][world.nodes["board"] >= 0]))
    return NUM_FATES


_BROUGHT = {TIER_GLOBAL: ("scaling", "tools"), TIER_NODE: ("degrees", "contexts")}
"""Additions that bring actions, by the tier behind whose actions they stand."""


@dataclass(frozen=True)
class Layout:
    """Shape of an observation and the record that compiled code reads it from.

    Attributes:
        spec: Which tiers are shown.
        num_actions: A.
        record: LAYOUT, shape (1,).
    """

    spec: TierSpec
    num_actions: int
    record: np.ndarray


def make_layout(
    spec: TierSpec, world: World, queue: int, *, window: int, predictions: bool, evaluation: bool
) -> Layout:
    """Lay out the observation of an environment.

    Args:
        spec: Which tiers are shown.
        world: The fleet.
        queue: Q, places of a node's queue.
        window: K, stages shown to the global tier.
        predictions: False for agents of information class N.
        evaluation: Drain after the horizon instead of truncating there.

    Returns:
        The layout.
    """
    record = np.zeros(1, LAYOUT)
    row = record[0]
    row["tiers"], row["window"] = spec.asked, window
    row["predictions"], row["evaluation"] = int(predictions), int(evaluation)
    row["horizon_s"] = world.params[0]["horizon_s"]
    total = 0
    for tier, field in ((TIER_GLOBAL, "rows_global"), (TIER_CLUSTER, "rows_cluster"), (TIER_NODE, "rows_node")):
        row[field] = total
        if spec.tiers >> tier & 1:
            total += num_actions(world, tier, window, queue)
        for addition in _BROUGHT.get(tier, ()):
            row[f"rows_{addition}"] = ABSENT
            if addition in spec.additions:
                row[f"rows_{addition}"] = total
                total += _num_added(world, addition, window)
    columns, context = _places(spec.row_blocks), _places(spec.context_blocks)
    for block in BLOCKS:
        row[block] = columns.get(block, ABSENT)
        row[f"context_{block}"] = context.get(block, ABSENT)
    return Layout(spec, total, record.view(np.recarray) if INTERPRETED else record)
