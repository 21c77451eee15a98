"""Fleets: clusters of hosts of nodes, and the links between clusters."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import FREE_BYTES_PER_S, LONGEST_WAIT_S, MOST_USD_PER_H, LatencyS, LinkBytesPerS, Name
from maestro_gym.config.disaggregation import DisaggregationConfig
from maestro_gym.config.failures import FailuresConfig
from maestro_gym.state import DUTY_BOTH, DUTY_DECODE, DUTY_PREFILL

MOST_NODES = 16_384
"""Most nodes of a fleet."""


class HostGroupConfig(StrictModel):
    """Equal hosts of a cluster."""

    count: int = Field(default=1, gt=0, le=4096, description="hosts of this kind")
    host: str = Field(description="kind of machine, a name of configs/hardware/hosts")
    nodes: int = Field(gt=0, le=64, description="nodes of each host")
    gpu: str = Field(description="kind of GPU, a name of configs/hardware/gpus")
    tp: int = Field(default=1, gt=0, le=64, description="GPUs of a node: its tensor-parallel degree")
    usd_per_gpu_h: float | None = Field(
        default=None,
        ge=0,
        le=MOST_USD_PER_H,
        description="price of a GPU [USD/h]; None: that of the GPU's file, if any",
    )

    def regrouped(self, degree: int) -> HostGroupConfig:
        """The same hosts with their GPUs in groups of another size.

        Args:
            degree: GPUs of a node; it divides the GPUs of a host.
        """
        return self.model_copy(update={"nodes": self.nodes * self.tp // degree, "tp": degree})


class ClusterConfig(StrictModel):
    """Nodes behind one low-latency network."""

    name: Name = Field(description="name in tables and plots")
    hosts: list[HostGroupConfig] = Field(min_length=1, max_length=1024, description="the machines of the cluster")

    @property
    def num_nodes(self) -> int:
        """Nodes of all its hosts."""
        return sum(group.count * group.nodes for group in self.hosts)


class FleetConfig(StrictModel):
    """All clusters and the links between them."""

    clusters: list[ClusterConfig] = Field(min_length=1, max_length=1024, description="clusters, in order of their ids")
    local_latency_s: float = Field(default=0.0005, ge=0, le=LONGEST_WAIT_S, description="one way, inside a cluster [s]")
    link_latency_s: float = Field(
        default=0.03, ge=0, le=LONGEST_WAIT_S, description="one way, between any two clusters [s]"
    )
    link_bytes_per_s: float = Field(
        default=1.25e9, ge=1, le=FREE_BYTES_PER_S, description="bandwidth of a link between clusters [bytes/s]"
    )
    latency_s: list[list[LatencyS]] | None = Field(
        default=None, description="one way, from row to column [s]; overrides the two latencies above"
    )
    bytes_per_s: list[list[LinkBytesPerS]] | None = Field(
        default=None, description="bandwidth from row to column [bytes/s]; overrides link_bytes_per_s"
    )
    failures: FailuresConfig | None = Field(
        default=None, description="how nodes and hosts fail and come back; None: never"
    )
    disaggregation: DisaggregationConfig | None = Field(
        default=None, description="which nodes only prefill or only decode; None: all do both"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [cluster.name for cluster in self.clusters]
        if len(set(names)) != len(names):
            raise ValueError(f"cluster names must differ, got {names}")
        if self.num_nodes > MOST_NODES:
            raise ValueError(f"the fleet has {self.num_nodes:,} nodes, and {MOST_NODES:,} is the most")
        self._check_pools()
        size = len(names)
        for key, matrix, floor in (("latency_s", self.latency_s, 0.0), ("bytes_per_s", self.bytes_per_s, 1.0)):
            if matrix is None:
                continue
            if len(matrix) != size or any(len(row) != size for row in matrix):
                raise ValueError(f"{key} must be a {size} x {size} matrix, a row and a column for each cluster")
            if any(value < floor for row in matrix for value in row):
                raise ValueError(f"{key} must hold no value under {floor:g}")
        return self

    def _check_pools(self) -> None:
        pools = self.disaggregation
        if pools is None:
            return
        for cluster in self.clusters:
            asked, there = pools.prefill_nodes + (pools.decode_nodes or 0), cluster.num_nodes
            if asked > there or pools.prefill_nodes == there:
                raise ValueError(
                    f"disaggregation: cluster {cluster.name} has {there} nodes; {pools.prefill_nodes} that only "
                    f"prefill and {pools.decode_nodes or 0} that only decode leave none for the rest of a call. Give "
                    "it more nodes, or ask for fewer"
                )

    def duties_of(self, cluster: ClusterConfig) -> list[int]:
        """Which part of a call each node of a cluster computes, DUTY_* in order of the nodes."""
        there, pools = cluster.num_nodes, self.disaggregation
        if pools is None:
            return [DUTY_BOTH] * there
        decoding = there - pools.prefill_nodes if pools.decode_nodes is None else pools.decode_nodes
        both = there - pools.prefill_nodes - decoding
        return [DUTY_PREFILL] * pools.prefill_nodes + [DUTY_BOTH] * both + [DUTY_DECODE] * decoding

    @property
    def num_nodes(self) -> int:
        """Nodes of all clusters."""
        return sum(cluster.num_nodes for cluster in self.clusters)
