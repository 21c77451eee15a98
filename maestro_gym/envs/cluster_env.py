"""The environment ``Maestro/Cluster-v0``; its part of the page in the docs (`pages` adds what all share)."""

from __future__ import annotations

from typing import ClassVar

from maestro_gym.envs.pages import page
from maestro_gym.envs.single import MaestroEnv


@page
class ClusterEnv(MaestroEnv):
    """Choice of a node for every stage sent to a cluster.

    ## Description

    An agent is the router of every cluster: a stage has been sent to the cluster, and it says to which node it goes.
    What makes a good node is a short queue, a model that is RUNNING there or soon will be, a cached prefix, and memory
    that nobody else needs. The global and node tiers follow `companions`. Several decisions may fall due at one
    instant, so a step may take no simulated time.

    ## Action Space

    `Discrete(N)` with N nodes in the largest cluster: action i sends the stage to the i-th node of its cluster. Legal
    are nodes with a free place in their queue that could hold the stage alone. There is no waiting: that some node
    has room was checked before the stage was sent.
    """

    tier: ClassVar[str] = "cluster"
