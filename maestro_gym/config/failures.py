"""How a fleet fails: laws of nodes, hosts and links, or the outages themselves (docs/failures.md)."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_S, Name

SHORTEST_S = 1.0
"""Shortest mean time to a failure or to a repair [s]; shorter ones would be an episode of nothing else."""


class OutageConfig(StrictModel):
    """One outage at a fixed time, of a host with all its nodes, of one node, or of a link in both directions."""

    host: Name | None = Field(default=None, description="machine, as `describe` names it: CLUSTER/NUMBER")
    node: Name | None = Field(default=None, description="node, as `describe` names it: CLUSTER/HOST.NUMBER")
    link: list[Name] | None = Field(
        default=None, min_length=2, max_length=2, description="the two clusters between which nothing passes"
    )
    begin_s: float = Field(ge=0, le=LONGEST_S, description="when it begins [s]")
    length_s: float = Field(gt=0, le=LONGEST_S, description="until it is repaired [s]")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(place is not None for place in (self.host, self.node, self.link)) != 1:
            raise ValueError("an outage names one of: a host, a node, a link")
        if self.link is not None and self.link[0] == self.link[1]:
            raise ValueError(f"link: {self.link} is one cluster; a link is between two")
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
    link_mtbf_s: float | None = Field(
        default=None,
        ge=SHORTEST_S,
        le=LONGEST_S,
        description="mean time of the link between two clusters between failures, both directions at once [s]; None: "
        "never",
    )
    link_mttr_s: float = Field(
        default=60.0, ge=SHORTEST_S, le=LONGEST_S, description="mean time to the repair of a link [s]"
    )
    outages: list[OutageConfig] = Field(
        default=[], max_length=10_000, description="outages at fixed times, beside them"
    )
