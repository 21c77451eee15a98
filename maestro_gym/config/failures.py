"""How a fleet fails: laws of nodes and hosts, or the outages themselves (docs/failures.md)."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_S, Name

SHORTEST_S = 1.0
"""Shortest mean time to a failure or to a repair [s]; shorter ones would be an episode of nothing else."""


class OutageConfig(StrictModel):
    """One outage at a fixed time, of a host with all its nodes or of one node."""

    host: Name | None = Field(default=None, description="machine, as `describe` names it: CLUSTER/NUMBER")
    node: Name | None = Field(default=None, description="node, as `describe` names it: CLUSTER/HOST.NUMBER")
    begin_s: float = Field(ge=0, le=LONGEST_S, description="when it begins [s]")
    length_s: float = Field(gt=0, le=LONGEST_S, description="until it is repaired [s]")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.host is None) == (self.node is None):
            raise ValueError("an outage names either a host or a node")
        return self


class FailuresConfig(StrictModel):
    """What fails how often. Times to failure and to repair are exponential; a fleet begins whole."""

    node_mtbf_s: float | None = Field(
        default=None, ge=SHORTEST_S, le=LONGEST_S, description="mean time of a node between failures [s]; None: never"
    )
    node_mttr_s: float = Field(
        default=120.0, ge=SHORTEST_S, le=LONGEST_S, description="mean time to the repair of a node [s]"
    )
    host_mtbf_s: float | None = Field(
        default=None,
        ge=SHORTEST_S,
        le=LONGEST_S,
        description="mean time of a host between failures, all its nodes at once [s]; None: never",
    )
    host_mttr_s: float = Field(
        default=300.0, ge=SHORTEST_S, le=LONGEST_S, description="mean time to the repair of a host [s]"
    )
    outages: list[OutageConfig] = Field(
        default=[], max_length=10_000, description="outages at fixed times, beside them"
    )
