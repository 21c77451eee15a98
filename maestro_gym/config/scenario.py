"""A scenario: fleet, deployments, workload, limits, horizon and seeds, complete and checked."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel, hint
from maestro_gym.config.bounds import LONGEST_S, MOST_SEEDS, MOST_TOKENS, Name, Seed
from maestro_gym.config.contention import contention_loads
from maestro_gym.config.fleet import ClusterConfig, FleetConfig, HostGroupConfig
from maestro_gym.config.hardware import ArchitectureConfig, GpuConfig, HostConfig
from maestro_gym.config.limits import LimitsConfig
from maestro_gym.config.training import TrainConfig
from maestro_gym.config.workload import PredictorConfig, WorkloadConfig
from maestro_gym.state import BLOCK_TOKENS, DUTY_DECODE, DUTY_PREFILL

SizeClass = Literal["small", "medium", "large"]


class PlacementConfig(StrictModel):
    """Where a deployment may be: on nodes of these kinds of GPU, in these clusters."""

    kinds: list[str] | None = Field(
        default=None, min_length=1, max_length=1024, description="names of GPUs of the fleet; None: any"
    )
    clusters: list[str] | None = Field(
        default=None, min_length=1, max_length=1024, description="names of clusters of the fleet; None: any"
    )

    def allows(self, cluster: ClusterConfig, group: HostGroupConfig) -> bool:
        """Whether the nodes of a group of hosts of a cluster are among them."""
        return (self.kinds is None or group.gpu in self.kinds) and (
            self.clusters is None or cluster.name in self.clusters
        )


class DeploymentConfig(StrictModel):
    """A model that can be asked for: an architecture with weights of its own."""

    name: Name = Field(description="name in tables, traces and requests")
    architecture: str = Field(description="a name of configs/models, or of the scenario's `architectures`")
    popularity: float = Field(
        default=1.0, ge=1e-9, le=1e9, description="share of calls, relative to the other deployments"
    )
    size_class: SizeClass = Field(default="medium", description="what a role of a workload family asks for")
    max_model_len: int | None = Field(
        default=None, gt=0, le=MOST_TOKENS, description="longest context served [tokens]; None: architecture's"
    )
    placement: PlacementConfig | None = Field(
        default=None, description="kinds of GPU and clusters that it is restricted to; None: anywhere"
    )


class ScenarioConfig(StrictModel):
    """Everything a run needs; a dump of it loads again as a scenario."""

    name: Name = Field(default="scenario", description="name in tables and plots")
    description: str = Field(default="", description="one sentence for the reader")
    fleet: FleetConfig = Field(description="a name of configs/fleets, or written out")
    models: list[DeploymentConfig] = Field(min_length=1, max_length=1024, description="the deployments")
    workload: WorkloadConfig = Field(description="what arrives")
    contention: Literal["low", "medium", "high", "overload", "custom"] = Field(
        default="medium",
        description="low, medium, high, overload: 0.5, 0.8, 1.1, 1.5 of the knee, or of the capacity where "
        "workload.knee says so or is not measured; custom: workload.load says it",
    )
    predictor: PredictorConfig = Field(default_factory=PredictorConfig, description="how episodes are annotated")
    limits: LimitsConfig = Field(default_factory=LimitsConfig, description="limits and constants of the physics")
    horizon_s: float = Field(
        default=600.0, gt=0, le=LONGEST_S, description="arrivals end, or training truncates, here [s]"
    )
    drain_s: float = Field(
        default=600.0, ge=0, le=LONGEST_S, description="longest drain after the horizon, evaluation [s]"
    )
    seeds: list[Seed] = Field(
        default=[0, 1, 2, 3, 4], min_length=1, max_length=MOST_SEEDS, description="seeds of an evaluation"
    )
    train: TrainConfig = Field(default_factory=TrainConfig, description="a name of configs/train, or written out")
    architectures: dict[str, ArchitectureConfig] = Field(default={}, description="filled from configs/models")
    gpus: dict[str, GpuConfig] = Field(default={}, description="filled from configs/hardware/gpus")
    hosts: dict[str, HostConfig] = Field(default={}, description="filled from configs/hardware/hosts")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_names()
        self._check_load()
        self._check_parallelism()
        return self

    def _check_names(self) -> None:
        names = self.model_names
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"models: the name `{name}` is given to two deployments; names must differ")
        for source, target in self.workload.model_map.items():
            # A trace's calls may also be spread over all deployments.
            if target not in (*names, "by_popularity"):
                raise ValueError(
                    f"workload.model_map: `{source}` maps to `{target}`, which is no deployment. {hint(target, names)}"
                )
        for index, deployment in enumerate(self.models):
            if deployment.architecture not in self.architectures:
                known = hint(deployment.architecture, self.architectures)
                raise ValueError(
                    f"models.{index}.architecture: no `{deployment.architecture}` in architectures. {known}"
                )
            limit = self.architectures[deployment.architecture].max_model_len
            if deployment.max_model_len is not None and deployment.max_model_len > limit:
                raise ValueError(
                    f"models.{index}.max_model_len: {deployment.name} asks for {deployment.max_model_len} tokens, "
                    f"{deployment.architecture} is good for {limit}"
                )
            self._check_placement(index, deployment)
        if any(seed < 0 for seed in self.seeds) or len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must be distinct and not negative")

    def _check_placement(self, index: int, deployment: DeploymentConfig) -> None:
        where, placement = f"models.{index}.placement", deployment.placement
        if placement is None:
            return
        kinds = dict.fromkeys(group.gpu for group in self.host_groups)
        clusters = [cluster.name for cluster in self.fleet.clusters]
        for key, named, known in (("kinds", placement.kinds, kinds), ("clusters", placement.clusters, clusters)):
            for name in named or ():
                if name not in known:
                    raise ValueError(f"{where}.{key}: the fleet has no `{name}`. {hint(name, known)}")
        if not self.groups_of(deployment):
            raise ValueError(
                f"{where}: no node is of {' or '.join(placement.kinds or ())} and in "
                f"{' or '.join(placement.clusters or ())}, so `{deployment.name}` could be nowhere; name other "
                "kinds or clusters"
            )
        if all(self._room_tokens(deployment, cluster) is None for cluster in self.fleet.clusters):
            raise ValueError(
                f"{where}: `{deployment.name}` may be on no node that prefills beside one that decodes, which "
                "fleet.disaggregation asks for in one cluster; name other kinds or clusters, or move the pools"
            )

    def _check_parallelism(self) -> None:
        given = self.limits.parallelism
        if given is None:
            return
        if self.fleet.failures is not None:
            raise ValueError(
                "limits.parallelism: nodes that are regrouped do not fail yet; leave it out, or fleet.failures"
            )
        if self.fleet.disaggregation is not None:
            raise ValueError(
                "limits.parallelism: nodes that are regrouped prefill and decode; leave it out, or fleet.disaggregation"
            )
        board = given.degrees[-1]
        for cluster in self.fleet.clusters:
            for index, group in enumerate(cluster.hosts):
                where = f"fleet.clusters, {cluster.name}, hosts.{index}"
                if group.tp not in given.degrees:
                    raise ValueError(f"{where}: tp {group.tp} is none of limits.parallelism.degrees ({given.degrees})")
                if group.nodes * group.tp % board != 0:
                    raise ValueError(
                        f"{where}: {group.nodes} nodes of {group.tp} GPUs are no whole number of groups of {board}, "
                        "the last of limits.parallelism.degrees; change nodes, tp or degrees"
                    )
        for index, deployment in enumerate(self.models):
            if (room_tokens := self.max_model_len(deployment)) < BLOCK_TOKENS:
                raise ValueError(
                    f"models.{index}: {deployment.name} does not fit at each of limits.parallelism.degrees "
                    f"({given.degrees}): room for {max(0, room_tokens)} KV tokens beside its weights; leave out the "
                    "smallest"
                )

    def _check_load(self) -> None:
        load = self.workload.load
        expected = contention_loads(self.workload.knee).get(self.contention)
        if load is None:
            raise ValueError("contention: custom needs workload.load")
        if expected is not None and load != expected:
            raise ValueError(
                f"contention: {self.contention} means workload.load {expected:g}, but {load} is given; "
                f"write one of the two, or contention: custom"
            )

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of the deployments, in order of their ids."""
        return tuple(deployment.name for deployment in self.models)

    @property
    def host_groups(self) -> list[HostGroupConfig]:
        """Groups of hosts of all clusters, in order."""
        return [group for cluster in self.fleet.clusters for group in cluster.hosts]

    def layouts(self, group: HostGroupConfig) -> list[HostGroupConfig]:
        """What the GPUs of a group of hosts may be grouped to, by ascending degree: its nodes alone, as a rule."""
        given = self.limits.parallelism
        return [group] if given is None else [group.regrouped(degree) for degree in given.degrees]

    def groups_of(self, deployment: DeploymentConfig) -> list[HostGroupConfig]:
        """Groups of hosts, in order, whose nodes a deployment may be placed on, whether it fits there or not."""
        placement = deployment.placement
        return [
            group
            for cluster in self.fleet.clusters
            for group in cluster.hosts
            if placement is None or placement.allows(cluster, group)
        ]

    def usd_per_gpu_h(self, group: HostGroupConfig) -> float | None:
        """Price of a GPU of a group of hosts [USD/h]: the fleet's, else that of the GPU's file; None = not known."""
        price = self.gpus[group.gpu].price
        return group.usd_per_gpu_h if group.usd_per_gpu_h is not None or price is None else price.usd_per_h

    def max_model_len(self, deployment: DeploymentConfig) -> int:
        """Longest context of a deployment, in tokens.

        vLLM refuses to start where its KV memory cannot hold one request of ``max_model_len``. What is not
        set is therefore the architecture's limit or what the roomiest node holds in whole blocks, the lesser. A call
        that one node prefills and another decodes needs room on both, and where GPUs are regrouped, at every degree.
        """
        rooms = (self._room_tokens(deployment, cluster) for cluster in self.fleet.clusters)
        room_tokens = max(room for room in rooms if room is not None)
        limit = deployment.max_model_len or self.architectures[deployment.architecture].max_model_len
        return min(limit, room_tokens // BLOCK_TOKENS * BLOCK_TOKENS)

    def _room_tokens(self, deployment: DeploymentConfig, cluster: ClusterConfig) -> int | None:
        """KV tokens on the roomiest node of a cluster that prefills or that decodes, the lesser; None without such."""
        duties = iter(self.fleet.duties_of(cluster))
        groups = [(group, {next(duties) for _ in range(group.count * group.nodes)}) for group in cluster.hosts]
        pools = [
            [
                min(self.kv_room_tokens(deployment, layout) for layout in self.layouts(group))
                for group, there in groups
                if there - {other} and (deployment.placement is None or deployment.placement.allows(cluster, group))
            ]
            for other in (DUTY_DECODE, DUTY_PREFILL)
        ]
        return min(map(max, pools)) if all(pools) else None

    def node_pool_bytes(self, group: HostGroupConfig) -> float:
        """Usable HBM of one GPU of a group's nodes times the utilization limit, in bytes."""
        return self.gpus[group.gpu].usable_hbm_bytes * self.limits.gpu_memory_utilization

    def kv_room_tokens(self, deployment: DeploymentConfig, group: HostGroupConfig) -> int:
        """KV tokens that fit beside a deployment that is alone on a node; negative if its weights do not fit.

        Elastic: pool = HBM * 0.9 - weights - margin, over kappa. Partitioned: the same within as many whole
        partitions as weights, margin and one KV block need.

        Args:
            deployment: A deployment of this scenario.
            group: A host group of the fleet.

        Returns:
            Tokens.
        """
        architecture = self.architectures[deployment.architecture]
        kv_bytes = architecture.kv_bytes_per_token_per_gpu(group.tp)
        taken_bytes = architecture.weight_bytes_per_gpu(group.tp) + self.limits.margin_gb * 1e9
        pool_bytes = self.node_pool_bytes(group)
        if self.limits.memory_mode == "partitioned":
            share_bytes = pool_bytes / self.limits.partitions
            shares = math.ceil((taken_bytes + BLOCK_TOKENS * kv_bytes) / share_bytes)
            pool_bytes = share_bytes * min(shares, self.limits.partitions)
        return int((pool_bytes - taken_bytes) // kv_bytes)
