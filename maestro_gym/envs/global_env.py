"""The environment ``Maestro/Global-v0``; its part of the page in the docs (`pages` adds what all share)."""

from __future__ import annotations

from typing import ClassVar

from maestro_gym.envs.pages import page
from maestro_gym.envs.single import MaestroEnv


@page
class GlobalEnv(MaestroEnv):
    """Which stage is sent next, and to which cluster.

    ## Description

    An agent orders the ready stages of all workflows and chooses a cluster for each. Because every stage of a
    workflow passes here, this is also where workflows are preempted, at the boundary between two stages. The cluster
    and node tiers follow `companions`. The agent sees a window of K ready stages that some node can take now: heads of
    the queue by Maestro's key, by deadline and by age, in turn and without duplicates. Several decisions may fall due
    at one instant, so a step may take no simulated time.

    ## Action Space

    `Discrete(1 + K * C)` with K = `window` and C clusters; `Discrete(1 + K * C + K)` with `limits.admission`:

    | action | meaning |
    | --- | --- |
    | 0 | wait |
    | 1 + k * C + c | send the stage at place k of the window to cluster c |
    | 1 + K * C + k | with `limits.admission`: reject the workflow of the stage at place k |

    Legal are clusters of which some node has room and can serve the stage. Waiting is illegal when nothing else could
    happen. A workflow may be rejected until a stage of it was sent; the window then shows its stages also when no
    node can take them, and the row of a rejection has the stage's columns and no flag of a kind. The model and pair
    columns describe the cluster's best node: least `T_ready` + queue wait.
    """

    tier: ClassVar[str] = "global"
