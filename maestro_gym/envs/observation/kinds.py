"""The flags of an observation: whether an action is legal and what kind it is, and the tier that decides."""

from __future__ import annotations

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.scales import of_flag
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL, TIER_NODE

KIND_WAIT, KIND_SEND, KIND_ROUTE, KIND_ADMIT, KIND_PROMOTE, KIND_DEMOTE, KIND_OTHER = range(7)
"""Kinds of action. Rejections, and the actions of additions, are of a kind without a flag here: a column of their own
would be another observation, also where there are none. Additions have flags of their own."""

LEGAL = Block("legal", __name__)


@LEGAL.column("legal", "flag", "the action exists and is legal; the row is all zero otherwise")
def _legal() -> float:
    return 1.0


write_legal = LEGAL.writer()

KIND = Block("kind", __name__)


@KIND.column("is_wait", "flag", "the action waits")
def _is_wait(kind: int) -> float:
    return of_flag(kind == KIND_WAIT)


@KIND.column("is_send", "flag", "sends a stage to a cluster")
def _is_send(kind: int) -> float:
    return of_flag(kind == KIND_SEND)


@KIND.column("is_route", "flag", "sends the stage to a node")
def _is_route(kind: int) -> float:
    return of_flag(kind == KIND_ROUTE)


@KIND.column("is_admit", "flag", "admits a queued stage")
def _is_admit(kind: int) -> float:
    return of_flag(kind == KIND_ADMIT)


@KIND.column("is_promote", "flag", "makes a model RUNNING")
def _is_promote(kind: int) -> float:
    return of_flag(kind == KIND_PROMOTE)


@KIND.column("is_demote", "flag", "moves a model one residency tier down")
def _is_demote(kind: int) -> float:
    return of_flag(kind == KIND_DEMOTE)


write_kind = KIND.writer()

TIER = Block("tier", __name__)


@TIER.column("tier_global", "flag", "the pending decision is global")
def _tier_global(tier: int) -> float:
    return of_flag(tier == TIER_GLOBAL)


@TIER.column("tier_cluster", "flag", "the pending decision is a cluster's")
def _tier_cluster(tier: int) -> float:
    return of_flag(tier == TIER_CLUSTER)


@TIER.column("tier_node", "flag", "the pending decision is a node's")
def _tier_node(tier: int) -> float:
    return of_flag(tier == TIER_NODE)


write_tier = TIER.writer()


@njit
def open_row(layout: np.ndarray, row: np.ndarray, kind: int) -> None:
    """Mark a row as legal and of a kind.

    Args:
        layout: LAYOUT, shape (1,).
        row: float32, shape (columns,), written.
        kind: KIND_*.
    """
    place = layout[0]
    write_legal(row, int(place.legal), False)
    if int(place.kind) >= 0:
        write_kind(kind, row, int(place.kind), False)
