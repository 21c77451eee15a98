"""From a scenario to the arrays of its world: fleet, step tables, nominal speeds, parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from maestro_gym.config import HostGroupConfig, ScenarioConfig, hint
from maestro_gym.config.limits import MAX_QUEUE, SignalsConfig
from maestro_gym.config.workload import TenantConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.performance.step_tables import StepTables, step_tables, step_time_s
from maestro_gym.scheduling.load_signals import NOMINAL_BATCH
from maestro_gym.state import (
    BOARD_SPEC,
    DECODE,
    DUTY_BOTH,
    HOST_SPEC,
    MODEL_SPEC,
    NODE_SPEC,
    PARAMS,
    PERF,
    SERVICE,
    SIGNAL,
    TENANT_SPEC,
    TOOL_SPEC,
    World,
)

NOMINAL_CONTEXT_TOKENS = 2048
"""Context of each sequence of the nominal batch, from which SERVICE's decode speed is taken."""

NOMINAL_PREFILL_TOKENS = (128, 2048)
"""Prompts between which SERVICE's prefill line is drawn."""


class WorldNames(NamedTuple):
    """Names of what the world's rows stand for."""

    models: tuple[str, ...]
    nodes: tuple[str, ...]
    hosts: tuple[str, ...]
    clusters: tuple[str, ...]
    architectures: tuple[str, ...]
    hardware: tuple[str, ...]


class NodeKind(NamedTuple):
    """GPUs of one kind in tensor-parallel groups of one size."""

    gpu: str
    tp: int


def build_world(
    config: ScenarioConfig,
    popularity: np.ndarray | None = None,
    tenant_names: Sequence[str] = ("tenant-0",),
    role_names: Sequence[str] = (),
) -> World:
    """Build the arrays of a scenario's world.

    Args:
        config: The scenario.
        popularity: float64, shape (M,), share of the stages by model; None takes the deployments' own.
        tenant_names: Of the workload, by id.
        role_names: Of the workload, by id.

    Returns:
        The world, each record array a ``np.recarray`` so that the engine's source also runs interpreted.

    Raises:
        MaestroError: ``workload.tenants`` names somebody whom the workload does not have, or a type of
            ``workload.tools`` is called by no role.
    """
    tools, tool_of = _tools(config, role_names)
    kinds, architectures = node_kinds(config), _architectures(config)
    limits = config.limits
    perf = np.zeros((len(kinds), len(architectures)), dtype=PERF)
    step_s = np.zeros((*perf.shape, limits.max_num_batched_tokens + 1))
    sample_s = np.zeros((*perf.shape, limits.max_num_seqs + 1))
    decode = np.zeros(sample_s.shape, dtype=DECODE)
    for row in range(len(kinds)):
        for column, name in enumerate(architectures):
            tables = _tables(config, kinds[row], name)
            perf[row, column] = tables.perf
            step_s[row, column] = tables.step_s
            sample_s[row, column] = tables.sample_s
            decode[row, column] = tables.decode
    nodes, hosts, boards = _fleet(config, kinds)
    latency_s, bytes_per_s = _network(config)
    return World(
        nodes=_records(nodes),
        hosts=_records(hosts),
        boards=_records(boards),
        models=_records(_models(config, architectures, popularity)),
        perf=_records(perf),
        step_s=step_s,
        sample_s=sample_s,
        decode=_records(decode),
        latency_s=latency_s,
        bytes_per_s=bytes_per_s,
        service=_records(_service(config)),
        tenants=_records(_tenants(config, tenant_names)),
        barred=_barred(config),
        signals=_records(_signals(config)),
        tools=_records(tools),
        tool_of=tool_of,
        params=_records(_params(config)),
    )


def world_names(config: ScenarioConfig) -> WorldNames:
    """Name the rows of the world that ``build_world`` makes.

    Args:
        config: The scenario.

    Returns:
        Names, in order of ids; a node is ``cluster/host.node``, with its GPUs behind it where they are regrouped.
    """
    nodes, hosts = [], []
    for cluster in config.fleet.clusters:
        local = 0
        for group in cluster.hosts:
            for _ in range(group.count):
                hosts.append(f"{cluster.name}/{local}")
                nodes += [f"{hosts[-1]}.{name}" for name in _node_names(config, group)]
                local += 1
    return WorldNames(
        models=config.model_names,
        nodes=tuple(nodes),
        hosts=tuple(hosts),
        clusters=tuple(cluster.name for cluster in config.fleet.clusters),
        architectures=tuple(_architectures(config)),
        hardware=tuple(f"{kind.gpu} x{kind.tp}" for kind in node_kinds(config)),
    )


def node_kinds(config: ScenarioConfig) -> list[NodeKind]:
    """Return the kinds of node of a fleet, in order of first use: the first axis of the step tables."""
    return list(dict.fromkeys(_kind(layout) for group in config.host_groups for layout in config.layouts(group)))


def service_of(tables: StepTables) -> tuple[float, float, float]:
    """Reckon the nominal speed of a model from its step tables.

    Prefill is the line through a short and a long prompt that run alone; a decoded token takes a step
    of the nominal batch (16 sequences, 2048 tokens each).

    Args:
        tables: Step tables of the model on its node.

    Returns:
        prefill_base_s, prefill_s_per_token, decode_s_per_token.
    """
    longest = len(tables.step_s) - 1
    short, long = (min(tokens, longest) for tokens in NOMINAL_PREFILL_TOKENS)
    short_s = step_time_s(tables, [(short, 0)], [], sampling_prefills=1)
    long_s = step_time_s(tables, [(long, 0)], [], sampling_prefills=1)
    slope_s = (long_s - short_s) / (long - short) if long > short else short_s / short
    batch = min(int(NOMINAL_BATCH), len(tables.sample_s) - 1)
    decode_s = step_time_s(tables, [], [NOMINAL_CONTEXT_TOKENS] * batch)
    return max(0.0, short_s - slope_s * short), slope_s, decode_s


def _records(array: np.ndarray) -> np.ndarray:
    return array.view(np.recarray)


def _kind(group: HostGroupConfig) -> NodeKind:
    return NodeKind(group.gpu, group.tp)


def _architectures(config: ScenarioConfig) -> list[str]:
    return list(dict.fromkeys(deployment.architecture for deployment in config.models))


def _tables(config: ScenarioConfig, kind: NodeKind, architecture: str) -> StepTables:
    return step_tables(
        config.architectures[architecture],
        config.gpus[kind.gpu],
        kind.tp,
        config.limits.max_num_batched_tokens,
        config.limits.max_num_seqs,
        config.limits.moe_kernel,
    )


def _boards(config: ScenarioConfig, group: HostGroupConfig) -> list[list[HostGroupConfig]]:
    """Nodes of one host of a group, by board: groups of hosts of one node each, in order of their ids.

    Where GPUs are not regrouped, the host is one board with its nodes alone.
    """
    given = config.limits.parallelism
    if given is None:
        return [[group] * group.nodes]
    boards = group.nodes * group.tp // given.degrees[-1]
    return [[layout for layout in config.layouts(group) for _ in range(layout.nodes // boards)]] * boards


def _node_names(config: ScenarioConfig, group: HostGroupConfig) -> list[str]:
    """Names of the nodes of one host of a group, within the host."""
    if config.limits.parallelism is None:
        return [str(index) for index in range(group.nodes)]
    nodes = [layout for board in _boards(config, group) for layout in board]
    return [f"{index}x{layout.tp}" for index, layout in enumerate(nodes)]


def _fleet(config: ScenarioConfig, kinds: list[NodeKind]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nodes, hosts, boards = [], [], []
    for cluster, cluster_config in enumerate(config.fleet.clusters):
        duties = iter(config.fleet.duties_of(cluster_config))
        for group in cluster_config.hosts:
            machine, gpu = config.hosts[group.host], config.gpus[group.gpu]
            usd_per_gpu_h = math.nan if (price := config.usd_per_gpu_h(group)) is None else price
            max_w = math.nan if gpu.power is None else gpu.power.max_w
            pool_bytes = config.node_pool_bytes(group)
            for _ in range(group.count):
                for board in _boards(config, group):
                    number = -1
                    if config.limits.parallelism is not None:
                        number = len(boards)
                        boards.append((len(nodes), len(board)))
                    for layout in board:
                        gpus, kind = layout.tp, kinds.index(_kind(layout))
                        duty = next(duties) if number < 0 else DUTY_BOTH
                        about = (gpus * usd_per_gpu_h, gpus * max_w, duty, gpus, number, int(gpus != group.tp))
                        nodes.append((cluster, len(hosts), kind, pool_bytes, *about))
                hosts.append(
                    (
                        machine.dram_gb * 1e9,
                        machine.nvme_gb * 1e9,
                        gpu.pcie_bytes_per_s,
                        machine.pcie_bytes_per_s,
                        machine.nvme_bytes_per_s,
                        machine.nic_bytes_per_s,
                    )
                )
    return np.array(nodes, dtype=NODE_SPEC), np.array(hosts, dtype=HOST_SPEC), np.array(boards, dtype=BOARD_SPEC)


def _models(config: ScenarioConfig, architectures: list[str], popularity: np.ndarray | None) -> np.ndarray:
    own = np.array([deployment.popularity for deployment in config.models])
    shares = own if popularity is None else np.asarray(popularity, dtype=np.float64)
    models = np.zeros(len(config.models), dtype=MODEL_SPEC)
    models["arch"] = [architectures.index(deployment.architecture) for deployment in config.models]
    models["max_model_len"] = [config.max_model_len(deployment) for deployment in config.models]
    models["popularity"] = shares / shares.sum()
    models["barred_nodes"] = _barred(config).sum(axis=0)
    return models


def _tenants(config: ScenarioConfig, names: Sequence[str]) -> np.ndarray:
    given = config.workload.tenants or {}
    for name in given:
        if name not in names:
            raise MaestroError(
                f"Scenario `{config.name}`: workload.tenants: the workload has no tenant `{name}`. {hint(name, names)}"
            )
    rows = [given.get(name, TenantConfig()) for name in names]
    tenants = np.zeros(len(rows), dtype=TENANT_SPEC)
    tenants["weight"] = [row.weight for row in rows]
    tenants["share"] = tenants["weight"] / tenants["weight"].sum()
    tenants["quota_tokens_per_s"] = [
        math.inf if row.quota_tokens_per_s is None else row.quota_tokens_per_s for row in rows
    ]
    return tenants


def _tools(config: ScenarioConfig, role_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Types of tools with finite places, TOOL_SPEC, and that of each role, int64; both empty when off."""
    given = config.workload.tools or {}
    tools = np.array([(tool.places,) for tool in given.values()], dtype=TOOL_SPEC)
    tool_of = np.full(len(role_names) if given else 0, -1, np.int64)
    for role, name in enumerate(role_names if given else ()):
        fitting = (i for i, tool in enumerate(given.values()) if any(fnmatchcase(name, word) for word in tool.roles))
        tool_of[role] = next(fitting, -1)
    for number, (name, tool) in enumerate(given.items()):
        if role_names and number not in tool_of:
            raise MaestroError(
                f"Scenario `{config.name}`: workload.tools.{name}.roles: no role is left that {tool.roles} names. "
                f"{hint(tool.roles[0], role_names)} A role goes by the first type that names it."
            )
    return tools, tool_of


def _barred(config: ScenarioConfig) -> np.ndarray:
    """Whether a model may not be placed on a node; int64, shape (N, M)."""
    barred = [
        [int(d.placement is not None and not d.placement.allows(cluster, group)) for d in config.models]
        for cluster in config.fleet.clusters
        for group in cluster.hosts
        for _ in range(group.count * sum(map(len, _boards(config, group))))
    ]
    return np.array(barred, dtype=np.int64)


def _signals(config: ScenarioConfig) -> np.ndarray:
    """How old the kinds of signals are, in order of SIGNAL_*; SIGNAL, shape (k,)."""
    given = config.limits.signals or SignalsConfig()
    ages = [(kind.period_s, kind.delay_s) for kind in (given.queues, given.running, given.residency)]
    return np.array(ages, dtype=SIGNAL)


def _service(config: ScenarioConfig) -> np.ndarray:
    service = np.zeros(len(config.models), dtype=SERVICE)
    speeds: dict[tuple[str, NodeKind], tuple[float, float, float]] = {}
    for row, deployment in enumerate(config.models):
        # In a mixed fleet: the kind of node on which the model can and may have most nodes.
        group = max(
            config.groups_of(deployment),
            key=lambda item: (config.kv_room_tokens(deployment, item) > 0, item.count * item.nodes),
        )
        key = (deployment.architecture, _kind(group))
        if key not in speeds:
            speeds[key] = service_of(_tables(config, key[1], key[0]))
        service[row] = (*speeds[key], config.max_model_len(deployment))
    return service


def _network(config: ScenarioConfig) -> tuple[np.ndarray, np.ndarray]:
    fleet = config.fleet
    size = len(fleet.clusters)
    if fleet.latency_s is not None:
        latency_s = np.array(fleet.latency_s, dtype=np.float64)
    else:
        latency_s = np.full((size, size), fleet.link_latency_s)
        np.fill_diagonal(latency_s, fleet.local_latency_s)
    if fleet.bytes_per_s is not None:
        return latency_s, np.array(fleet.bytes_per_s, dtype=np.float64)
    return latency_s, np.full((size, size), fleet.link_bytes_per_s)


def _scaling(config: ScenarioConfig) -> dict[str, float]:
    """When nodes may be started and stopped; a period of 0 is never."""
    given, most = config.limits.autoscaling, config.fleet.num_nodes
    if given is None:
        return {"scale_period_s": 0.0, "node_start_s": 0.0, "min_nodes": most, "max_nodes": most}
    return {
        "scale_period_s": given.period_s,
        "node_start_s": given.start_s,
        "min_nodes": min(given.min_nodes, most),
        "max_nodes": most if given.max_nodes is None else min(given.max_nodes, most),
    }


def _regrouping(config: ScenarioConfig) -> dict[str, float]:
    """When GPUs may be regrouped; a period of 0 is never."""
    given = config.limits.parallelism
    if given is None:
        return {"regroup_period_s": 0.0, "regroup_s": 0.0}
    return {"regroup_period_s": given.period_s, "regroup_s": given.switch_s}


def _params(config: ScenarioConfig) -> np.ndarray:
    limits = config.limits
    residency = config.gpus[config.host_groups[0].gpu].residency
    signals = limits.signals or SignalsConfig()

    def cost(name: str) -> float:
        own = getattr(limits, name)
        return float(getattr(residency, name) if own is None else own)

    values = {
        "horizon_s": config.horizon_s,
        "drain_cap_s": config.horizon_s + config.drain_s,
        "node_queue_limit": MAX_QUEUE if limits.node_queue_limit == "inf" else limits.node_queue_limit,
        "mps": int(limits.gpu_sharing == "mps"),
        "partitioned": int(limits.memory_mode == "partitioned"),
        "prefix_caching": int(limits.prefix_caching),
        "margin_bytes": limits.margin_gb * 1e9,
        "sleep_bytes": limits.sleep_gb * 1e9,
        "wake_base_s": cost("wake_base_s"),
        "sleep_base_s": cost("sleep_base_s"),
        "cpu_base_s": cost("cpu_base_s"),
        "cpu_s_per_byte": cost("cpu_s_per_gb") / 1e9,
        "cpu_s_per_layer": cost("cpu_s_per_layer"),
        **_scaling(config),
        **_regrouping(config),
        "routers": signals.routers,
        "own_sends": int(signals.own_sends),
    }
    params = np.zeros(1, dtype=PARAMS)
    for name in PARAMS.names or ():
        # What is not derived above has the same name in the configuration.
        params[name] = values[name] if name in values else getattr(limits, name)
    return params
