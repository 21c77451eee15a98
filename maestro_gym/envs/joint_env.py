"""The environment ``Maestro/Joint-v0``; its part of the page in the docs (`pages` adds what all share)."""

from __future__ import annotations

from typing import ClassVar

from maestro_gym.envs.pages import page
from maestro_gym.envs.single import MaestroEnv


@page
class JointEnv(MaestroEnv):
    """All three tiers at once.

    ## Description

    An agent drives the global, the cluster and the node tier (see the other three environments); only what gives way
    when memory is short follows `companions`. `context` says which tier must decide, and the actions of the other tiers
    are masked. Several decisions may fall due at one instant, so a step may take no simulated time.

    ## Action Space

    `Discrete(A)`, one block of actions a tier, in the order global, cluster, node:

    | block | actions | meaning |
    | --- | --- | --- |
    | global | 1 + K * C, with `limits.admission` K more | as `Maestro/Global-v0` |
    | cluster | nodes of the largest cluster | as `Maestro/Cluster-v0` |
    | node | 1 + 4 * Q + 2 * M | as `Maestro/Node-v0` |
    """

    tier: ClassVar[str] = "joint"
