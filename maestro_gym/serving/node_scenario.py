"""A scenario of one node: no network beside the constant of a call, no place it must share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from maestro_gym.config import ArchitectureConfig, ScenarioConfig, compose_scenario
from maestro_gym.config.catalogue import Machine
from maestro_gym.config.limits import STOCK_ENGINE

DRAIN_S = 36_000.0
"""Ten hours: longer than anyone waits for a backlog to clear."""
_NAME = "node"


class Deployed(NamedTuple):
    """A model that the node serves.

    Attributes:
        name: In tables.
        architecture: What runs.
        share: Of the requests, relative to the other models.
    """

    name: str
    architecture: ArchitectureConfig
    share: float = 1.0


def node_scenario(
    models: Sequence[Deployed],
    on: Machine,
    *,
    tp: int = 1,
    limits: Mapping[str, Any],
    workload: Mapping[str, Any],
    horizon_s: float,
    gpu_name: str = "GPU",
    overrides: Sequence[str] = (),
    place: str = "node",
) -> ScenarioConfig:
    """Compose the scenario of one node.

    A fixed pool of KV blocks is there from the start: where memory is partitioned, as in stock vLLM, growing costs
    nothing and address space is not counted; the engine takes blocks as it needs them, and schedules a step ahead.

    Args:
        models: What it serves.
        on: GPU and host.
        tp: GPUs of the node.
        limits: Keys of ``LimitsConfig``.
        workload: Keys of ``WorkloadConfig``.
        horizon_s: Requests arrive before.
        gpu_name: In messages.
        overrides: ``a.b.c=value``.
        place: Who asks, in messages.

    Returns:
        The complete scenario.

    Raises:
        MaestroError: A value is bad, or a model does not fit the node.
    """
    stock = STOCK_ENGINE if limits.get("memory_mode") == "partitioned" else {}
    raw = {
        "name": "serve-sim",
        "fleet": {
            "clusters": [
                {"name": _NAME, "hosts": [{"count": 1, "host": _NAME, "nodes": 1, "gpu": gpu_name, "tp": tp}]}
            ],
            "local_latency_s": 0.0,
            "link_bytes_per_s": 1e30,
        },
        "models": [{"name": model.name, "architecture": model.name, "popularity": model.share} for model in models],
        "architectures": {model.name: model.architecture.model_dump() for model in models},
        "gpus": {gpu_name: on.gpu.model_dump()},
        "hosts": {_NAME: on.host.model_dump()},
        "workload": dict(workload),
        "horizon_s": horizon_s,
        "drain_s": DRAIN_S,
        "limits": {"node_queue_limit": "inf", **stock, **limits},
    }
    return compose_scenario(raw, place, overrides)
