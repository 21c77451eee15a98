"""The environment ``Maestro/Node-v0``; its part of the page in the docs (`pages` adds what all share)."""

from __future__ import annotations

from typing import ClassVar

from maestro_gym.envs.pages import page
from maestro_gym.envs.single import MaestroEnv


@page
class NodeEnv(MaestroEnv):
    """Admission and residency at every node.

    ## Description

    An agent runs every node of the fleet: at each moment at which a node's queue or its memory has changed and
    something can be done for a waiting stage, it admits a stage, makes a model RUNNING, moves one a residency tier
    down, or waits. The global and cluster tiers follow `companions`; room is made by its reclaim rule. Several
    decisions may fall due at one instant, so a step may take no simulated time.

    ## Action Space

    `Discrete(1 + 4 * Q + 2 * M)` with Q places of a node's queue and M models:

    | action | meaning |
    | --- | --- |
    | 0 | wait |
    | 1 + 4 * q + r | admit the stage at queue place q, reserving r: 0 adaptive, 1 q90, 2 limit, 3 prompt |
    | 1 + 4 * Q + m | promote model m: make it RUNNING here |
    | 1 + 4 * Q + M + m | demote model m: RUNNING and idle to SLEEPING, SLEEPING to the host's DRAM |

    Admission needs a RUNNING engine, a free sequence slot and memory; promotion needs memory and an engine slot.
    Waiting is illegal when nothing else could happen. An `information="N"` agent may reserve the output limit or the
    prompt only, unless nothing else is legal.
    """

    tier: ClassVar[str] = "node"
