"""A fleet of servers as a scenario: the same configuration that the simulator runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from maestro_gym.config import ScenarioConfig, load_scenario
from maestro_gym.config.limits import STOCK_ENGINE
from maestro_gym.config.live import LiveEngineConfig, LiveFleetConfig, LiveNodeConfig
from maestro_gym.core.whole_file import write_whole
from maestro_gym.state import BLOCK_TOKENS

DEFAULT_WORKLOAD: dict[str, Any] = {"family": "live", "load": 0.8}


def scenario_document(
    fleet: LiveFleetConfig,
    workload: Mapping[str, Any] | None = None,
    *,
    horizon_s: float = 60.0,
    drain_s: float = 120.0,
    predictor: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a fleet as a scenario's document.

    Args:
        fleet: The fleet file.
        workload: The ``workload`` section of a scenario; None takes the small family that is made for live runs.
        horizon_s: The time before which workflows arrive.
        drain_s: The longest wait for what is unfinished then.
        predictor: The ``predictor`` section of a scenario.

    Returns:
        What the YAML file of a scenario holds.
    """

    def dump(section: Mapping[str, Any]) -> dict[str, Any]:
        return {name: item.model_dump(mode="json") for name, item in section.items()}

    return {
        "name": fleet.name,
        "description": fleet.description,
        "fleet": {
            "clusters": [
                {
                    "name": cluster.name,
                    "hosts": [
                        {"count": 1, "host": host.host, "nodes": len(host.nodes), "gpu": host.gpu, "tp": host.tp}
                        for host in cluster.hosts
                    ],
                }
                for cluster in fleet.clusters
            ],
            "local_latency_s": fleet.local_latency_s,
            "link_latency_s": fleet.link_latency_s,
        },
        "models": [model.model_dump(mode="json", exclude={"weights"}) for model in fleet.models],
        "architectures": dump(fleet.architectures),
        "gpus": dump(fleet.gpus),
        "hosts": dump(fleet.hosts),
        "limits": engine_limits(fleet),
        "workload": dict(workload or DEFAULT_WORKLOAD),
        "predictor": dict(predictor or {"kind": "role_median"}),
        "horizon_s": horizon_s,
        "drain_s": drain_s,
        "seeds": [0],
    }


def engine_limits(fleet: LiveFleetConfig) -> dict[str, Any]:
    """Say how the servers of a fleet serve: as stock vLLM does, where the fleet file says nothing else.

    Args:
        fleet: The fleet file, whose ``limits`` win: ``schedule_ahead: false`` is for servers older than vLLM 0.14, for
            vLLM on CPUs, and for those that are started with ``--no-async-scheduling``, where it is the default.

    Returns:
        Keys of ``LimitsConfig``.
    """
    return {**STOCK_ENGINE, "schedule_ahead": not fleet.plans_one_step, **fleet.limits}


def write_scenario(document: Mapping[str, Any], path: Path) -> ScenarioConfig:
    """Write the file of a scenario, and read it back complete and checked.

    Args:
        document: The document, from ``scenario_document``.
        path: The YAML file; its folder is made if it is missing.

    Returns:
        The scenario.

    Raises:
        MaestroError: The fleet does not make a scenario: a name is not in the catalogue, or a model does not fit.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True))
    return load_scenario(str(path))


def kv_pool_bytes(config: ScenarioConfig, fleet: LiveFleetConfig, model: str) -> float:
    """Reckon the KV pool of an engine as the simulator does: its parts of the node, less weights and margin.

    Args:
        config: The fleet's scenario.
        fleet: The fleet file.
        model: The name of a deployment.

    Returns:
        The bytes of one GPU, the least of all nodes that serve the model.
    """
    deployment = next(item for item in config.models if item.name == model)
    architecture = config.architectures[deployment.architecture]
    groups = [
        group
        for group, host in zip(
            config.host_groups, (host for cluster in fleet.clusters for host in cluster.hosts), strict=True
        )
        if any(engine.model == model for node in host.nodes for engine in node.engines)
    ]
    return min(
        config.kv_room_tokens(deployment, group) * architecture.kv_bytes_per_token_per_gpu(group.tp)
        for group in groups or config.host_groups
    )


def launch_words(
    fleet: LiveFleetConfig, config: ScenarioConfig, node: LiveNodeConfig, engine: LiveEngineConfig, weights: str
) -> list[str]:
    """Write the command line of a server, without the path of the program.

    Args:
        fleet: The fleet file.
        config: The fleet's scenario, whose limits become flags.
        node: The node that the server runs on.
        engine: The server.
        weights: The folder or the name of the weights.

    Returns:
        The words after ``vllm serve``.
    """
    limits = config.limits
    deployment = next(item for item in config.models if item.name == engine.model)
    tp = next(host.tp for cluster in fleet.clusters for host in cluster.hosts if node in host.nodes)
    words = [weights, "--served-model-name", engine.model, "--host", engine.hostname, "--port", str(engine.port)]
    words += ["--max-model-len", str(config.max_model_len(deployment))]
    words += ["--max-num-seqs", str(limits.max_num_seqs)]
    words += ["--max-num-batched-tokens", str(limits.max_num_batched_tokens)]
    words += ["--scheduling-policy", "priority"]
    words += [] if limits.prefix_caching else ["--no-enable-prefix-caching"]
    if tp > 1:
        words += ["--tensor-parallel-size", str(tp)]
    if fleet.launch.memory == "kv_bytes":
        pool = kv_pool_bytes(config, fleet, engine.model)
        words += ["--kv-cache-memory-bytes", str(int(pool))]
    else:
        words += ["--gpu-memory-utilization", f"{limits.gpu_memory_utilization / limits.partitions:.4f}"]
    if engine.residency == "sleep" and fleet.launch.memory == "utilization":
        words.append("--enable-sleep-mode")
    if any(model.weights == "random" for model in fleet.models if model.name == engine.model):
        words += ["--load-format", "dummy"]
    return [*words, *fleet.launch.args, *engine.args]


def usable_kv_tokens(total_tokens: int, block_tokens: int, max_num_seqs: int) -> int:
    """Reckon how many KV tokens of an engine's pool may be reserved.

    The simulator counts blocks of `state.BLOCK_TOKENS`; an engine with larger blocks rounds every sequence up further.

    Args:
        total_tokens: The number of tokens of the engine's pool.
        block_tokens: The number of tokens of one of its blocks.
        max_num_seqs: The number of sequences that may run at once.

    Returns:
        The number of tokens that may be reserved.
    """
    return max(0, total_tokens - max(0, block_tokens - BLOCK_TOKENS) * max_num_seqs)
