"""Random small scenarios that a token-by-token simulator can run: fleets, models, workloads, policies.

Memory is kept so short that reservations grow, stages are paused and engines put to sleep.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from maestro_gym.config import ArchitectureConfig, GpuConfig, find_config, read_yaml
from maestro_gym.performance.step_tables import StepTables, step_tables
from maestro_gym.state import (
    BOARD_SPEC,
    DUTY_BOTH,
    DUTY_DECODE,
    DUTY_NAMES,
    DUTY_PREFILL,
    HOST_SPEC,
    MODEL_SPEC,
    NODE_SPEC,
    NUM_SIGNALS,
    OUTAGE,
    PARAMS,
    PERF,
    PREDICTION,
    SERVICE,
    SIGNAL,
    SIGNAL_RUNNING,
    STAGE,
    STAGE_HIDDEN,
    TENANT_SPEC,
    TOOL_SPEC,
    WORKFLOW,
    Episode,
    World,
)
from tests.reference.choosing import Temper

ARCHITECTURES = ("Llama-3.2-3B", "Llama-3.1-8B", "Qwen2.5-14B", "Qwen3-30B-A3B")
GPUS = ("A100-80GB", "A100-40GB", "H100-80GB", "L40S-48GB", "A10G-24GB")
MOST_ROLES = 3
RECLAIM_LAWS = ("vllm", "lru", "least-harm")
TEMPERS = {
    "eager": {"wait": 0.001, "reject": 0.02, "promote": 1.0, "demote": 0.02, "levels": (0,), "in_order": True},
    "greedy": {"wait": 0.001, "reject": 0.1, "promote": 0.2, "demote": 0.001, "levels": (3,), "in_order": False},
    "careful": {"wait": 0.05, "reject": 0.3, "promote": 0.5, "demote": 0.05, "levels": (0, 1, 2), "in_order": False},
    "erratic": {"wait": 0.3, "reject": 0.5, "promote": 1.0, "demote": 0.4, "levels": (0, 1, 2, 3), "in_order": False},
}


@dataclass(frozen=True)
class Features:
    """What a scenario is made of; the rest follows from the seed."""

    seed: int
    memory: str
    sharing: str
    caching: bool
    drains: bool
    clusters: int
    hosts: int
    nodes: int
    tp: int
    models: int
    jobs: int
    max_num_seqs: int
    max_num_batched_tokens: int
    queue_limit: int
    schedule_ahead: bool
    kv_tokens: int
    short_dram: bool
    reclaim_law: str
    temper: str
    admission: bool = False
    barred: bool = False
    tools: int = 0
    orders_tools: bool = False
    failures: bool = False
    scaling: bool = False
    decides_contexts: bool = False
    pools: bool = False
    kinds: int = 2
    tenants: int = 3
    flood: bool = False
    signals: bool = False
    regroups: bool = False
    routers: int = 1
    links: bool = False


@dataclass(frozen=True)
class Case:
    """A scenario, ready to run."""

    features: Features
    world: World
    episode: Episode
    placement: np.ndarray
    temper: Temper


def random_features(seed: int) -> Features:
    """Features by a seed alone, for long runs without Hypothesis."""
    rng = np.random.default_rng((seed, 1))

    def pick(*values: Any) -> Any:  # noqa: ANN401 - whatever the values are
        return values[int(rng.integers(len(values)))]

    return Features(
        seed=seed,
        memory=pick("elastic", "partitioned"),
        sharing=pick("timeslice", "mps"),
        caching=pick(True, True, False),
        drains=pick(True, True, False),
        clusters=pick(1, 1, 2, 3),
        hosts=pick(1, 1, 2),
        nodes=pick(1, 2),
        tp=pick(1, 2),
        models=int(rng.integers(1, 7)),
        jobs=int(rng.integers(1, 17)),
        max_num_seqs=int(rng.integers(1, 9)),
        max_num_batched_tokens=pick(32, 128, 512, 2048),
        queue_limit=int(rng.integers(1, 7)),
        kv_tokens=pick(700, 1000, 3000),
        short_dram=pick(True, False),
        reclaim_law=pick(*RECLAIM_LAWS),
        temper=pick(*TEMPERS),
        schedule_ahead=pick(True, False),
        admission=pick(True, False),
        barred=pick(True, False, False),
        tools=pick(0, 1, 2),
        orders_tools=pick(True, False),
        failures=pick(True, False),
        scaling=pick(True, False),
        decides_contexts=pick(True, False),
        pools=pick(True, False, False),
        kinds=int(rng.integers(1, len(GPUS) + 1)),
        tenants=int(rng.integers(1, 5)),
        flood=pick(True, False),
        signals=pick(True, False),
        regroups=pick(True, False, False),
        routers=pick(1, 2, 3),
        links=pick(True, False),
    )


def make_case(features: Features) -> Case:
    """Build the scenario."""
    if features.regroups:  # none of them goes with it
        features = replace(features, failures=False, scaling=False, decides_contexts=False, pools=False)
    rng = np.random.default_rng((features.seed, 2))
    hosts = features.clusters * features.hosts
    boards = [_board(features, host) for host in range(hosts)]
    placement = np.zeros((sum(map(len, boards)), features.models), bool)
    for row, (_, off) in zip(placement, [node for board in boards for node in board], strict=True):
        awake = rng.permutation(features.models)[: rng.integers(0, min(3, features.models) + 1)]
        row[awake] = not off
    world = _world(features, rng, placement)
    temper = Temper(seed=features.seed, **TEMPERS[features.temper])
    episode = _episode(features, rng)
    return Case(features, world, episode._replace(outages=_outages(features, world)), placement, temper)


def _who_asks(features: Features) -> np.ndarray:
    """Tenants of the workflows in order of arrival; where one floods the others, three in four are its own."""
    rng = np.random.default_rng((features.seed, 8))
    tenants = rng.integers(features.tenants, size=features.jobs)
    return np.where(features.flood & (rng.random(features.jobs) < 0.75), 0, tenants)


def _board(features: Features, host: int) -> list[tuple[int, bool]]:
    """Nodes of a host: GPUs of each where they are regrouped, else 0, and whether it is off at the start."""
    if not features.regroups:
        return [(0, False)] * features.nodes
    begins = 1 + (features.seed + host) % 2
    return [(gpus, gpus != begins) for gpus in (1, 1, 2)]


def _outages(features: Features, world: World) -> np.ndarray:
    """Outages of nodes, hosts and links, some within others, short enough that an episode sees them end."""
    rows = _link_outages(features)
    rng = np.random.default_rng((features.seed, 4))
    for _ in range(int(rng.integers(1, 8)) if features.failures else 0):
        node = int(rng.integers(len(world.nodes)))
        host = int(world.nodes[node]["host"])
        begin_s, length_s = rng.uniform(0.0, 8.0), rng.uniform(0.01, 6.0)
        only = -1 if rng.random() < 0.4 else node
        rows += [(begin_s, host, only, 1, -1, -1), (begin_s + length_s, host, only, 0, -1, -1)]
    return np.array(sorted(rows), OUTAGE)


def _link_outages(features: Features) -> list[tuple[float, int, int, int, int, int]]:
    """Many and short, so that some meet what is on its way, and now and then all links are down."""
    rng = np.random.default_rng((features.seed, 9))
    rows = []
    for _ in range(int(rng.integers(1, 40)) if features.links and features.clusters > 1 else 0):
        cluster, other = (int(end) for end in rng.permutation(features.clusters)[:2])
        begin_s, length_s = rng.uniform(0.0, 12.0), rng.uniform(0.01, 2.0)
        rows += [(begin_s, -1, -1, 1, cluster, other), (begin_s + length_s, -1, -1, 0, cluster, other)]
    return rows


@cache
def _architecture(name: str) -> ArchitectureConfig:
    return ArchitectureConfig.model_validate(read_yaml(find_config("models", name, "test")))


@cache
def _gpu(name: str) -> GpuConfig:
    return GpuConfig.model_validate(read_yaml(find_config("hardware/gpus", name, "test")))


@cache
def _tables(architecture: str, gpu: str, tp: int, tokens: int, sequences: int) -> StepTables:
    return step_tables(_architecture(architecture), _gpu(gpu), tp, tokens, sequences, "fused")


def _world(features: Features, rng: np.random.Generator, placement: np.ndarray) -> World:
    names = list(rng.permutation(ARCHITECTURES)[: min(len(ARCHITECTURES), max(1, features.models - 1))])
    kinds = [(gpu, features.tp if gpu == GPUS[0] else 1) for gpu in GPUS[: features.kinds]]
    if features.regroups:
        kinds = [(gpu, gpus) for gpus in (1, 2) for gpu in GPUS[: features.kinds]]
    tables = [
        [_tables(str(name), gpu, tp, features.max_num_batched_tokens, features.max_num_seqs) for name in names]
        for gpu, tp in kinds
    ]
    models = np.zeros(features.models, MODEL_SPEC)
    # More deployments than architectures: fine-tunes of one.
    models["arch"] = np.arange(features.models) % len(names)
    models["max_model_len"] = 8192
    models["popularity"] = rng.dirichlet(np.ones(features.models))
    perf = np.array([[table.perf for table in row] for row in tables], PERF)
    params = _params(features, rng)
    hosts = np.zeros(features.clusters * features.hosts, HOST_SPEC)
    nodes = np.zeros(len(placement), NODE_SPEC)
    kind_of_host = rng.integers(0, features.kinds, len(hosts))
    duties = _duties(features, placement)
    owners = [(host, node) for host in range(len(hosts)) for node in _board(features, host)]
    for number, (host, (gpus, off)) in enumerate(owners):
        kind = int(kind_of_host[host]) + (features.kinds if gpus == 2 else 0)
        board = host if features.regroups else -1
        gpus = kinds[kind][1]
        nodes[number] = (host // features.hosts, host, kind, 0.0, 0.0, 0.0, duties[number], gpus, board, off)
        rows = perf[kind][models["arch"]]
        nodes[number]["hbm_pool_bytes"] = _pool_bytes(features, rng, rows, placement[number], params)
    for host in range(len(hosts)):
        kind = int(kind_of_host[host])
        sizes = perf[kind]["weight_bytes"][models["arch"]] * kinds[kind][1]
        dram = (1.2 * sizes.max() if features.short_dram else 10.0 * sizes.sum()) * rng.uniform(1.0, 1.5)
        nvme = sizes.sum() * rng.choice([0.6, 2.0])
        hosts[host] = (dram, nvme, 21e9, 30e9, 15e9 * rng.uniform(1, 2), 10e9 * rng.uniform(1, 2))
    latency_s = rng.uniform(0.001, 0.05, (features.clusters, features.clusters))
    np.fill_diagonal(latency_s, rng.choice([0.0, 0.0005]))
    service = np.zeros(features.models, SERVICE)
    for name, scale in (("prefill_base_s", 0.01), ("prefill_s_per_token", 1e-4), ("decode_s_per_token", 0.02)):
        service[name] = scale * rng.uniform(0.5, 2.0, features.models)
    service["max_model_len"] = 8192
    barred = _barred(features, placement)
    models["barred_nodes"] = barred.sum(0)
    return World(
        nodes=nodes,
        hosts=hosts,
        boards=np.array([(3 * host, 3) for host in range(len(hosts))] if features.regroups else [], BOARD_SPEC),
        models=models,
        perf=perf,
        step_s=np.array([[table.step_s for table in row] for row in tables]),
        sample_s=np.array([[table.sample_s for table in row] for row in tables]),
        decode=np.array([[table.decode for table in row] for row in tables]),
        latency_s=latency_s,
        bytes_per_s=rng.uniform(1e6, 1e9, latency_s.shape),
        service=service,
        tenants=_tenants(features),
        barred=barred,
        signals=_signals(features, params),
        tools=_tools(features),
        tool_of=_tool_of(features),
        params=params,
    )


def _tenants(features: Features) -> np.ndarray:
    """Tenants of unlike weights, some with a quota, which one that floods the others exceeds."""
    rng = np.random.default_rng((features.seed, 5))
    weights = rng.choice([1.0, 1.0, 0.25, 3.0], features.tenants)
    quotas = rng.choice([np.inf, 20.0, 500.0], features.tenants)
    return np.array(list(zip(weights, weights / weights.sum(), quotas, strict=True)), TENANT_SPEC)


def _signals(features: Features, params: np.ndarray) -> np.ndarray:
    """Ages of what routers know, a kind each; where the KV in use is not among it, it has an age of its own."""
    signals = np.zeros(NUM_SIGNALS, SIGNAL)
    if features.signals:
        rng = np.random.default_rng((features.seed, 6))
        signals["period_s"] = rng.choice([0.0, 0.3, 2.0], NUM_SIGNALS) * rng.uniform(0.8, 1.2, NUM_SIGNALS)
        signals["delay_s"] = signals["period_s"] * rng.choice([0.0, 0.5, 1.0], NUM_SIGNALS)
        params["own_sends"] = rng.integers(2)
        params["metrics_delay_s"] = 0.7 if signals["period_s"][SIGNAL_RUNNING] == 0.0 else 0.0
    return signals


def _tools(features: Features) -> np.ndarray:
    """A type of tools with one place and one with two; one role in three has tools without bounds."""
    return np.array([(1 + tool,) for tool in range(features.tools)], TOOL_SPEC)


def _tool_of(features: Features) -> np.ndarray:
    return np.arange(1, MOST_ROLES + 1) % (features.tools + 1) - 1 if features.tools else np.zeros(0, np.int64)


def _duties(features: Features, placement: np.ndarray) -> np.ndarray:
    """Which part of a call each node computes; a cluster where one only prefills has another that decodes."""
    rng = np.random.default_rng((features.seed, 5))
    duties = np.full((features.clusters, len(placement) // features.clusters), DUTY_BOTH)
    if not features.pools:
        return duties.ravel()
    for cluster in duties:
        cluster[:] = rng.integers(len(DUTY_NAMES), size=len(cluster))
        if np.all(cluster == DUTY_PREFILL):
            cluster[rng.integers(len(cluster))] = DUTY_BOTH
    # Somebody must take calls.
    if np.all(duties == DUTY_DECODE):
        duties[0, 0] = DUTY_BOTH
    return duties.ravel()


def _barred(features: Features, placement: np.ndarray) -> np.ndarray:
    """Nodes on which models may not be; each may be where it runs at the start, and somewhere."""
    rng = np.random.default_rng((features.seed, 3))
    barred = (rng.random(placement.shape) < 0.4) & ~placement & features.barred
    barred[rng.integers(len(placement), size=placement.shape[1]), np.arange(placement.shape[1])] = False
    return barred.astype(np.int64)


def _pool_bytes(
    features: Features, rng: np.random.Generator, rows: np.ndarray, running: np.ndarray, params: np.ndarray
) -> float:
    """A pool that holds what runs at the start, and any model alone, and little KV."""
    room = features.kv_tokens * rng.uniform(0.8, 1.5) * rows["kv_bytes_per_token"].max()
    fixed = rows["weight_bytes"] + params[0]["margin_bytes"]
    residues = len(rows) * params[0]["sleep_bytes"]
    if features.memory == "elastic":
        return float(round(max(fixed[running].sum(), fixed.max()) + residues + room))
    # Parts into which one of the models fits closely, as small as their number, one for the fleet, allows.
    tight = int(rng.integers(len(rows)))
    part = (fixed[tight] + room) / rng.integers(1, 4)
    while _parts_needed(rows, fixed, running, residues, part) > params[0]["partitions"]:
        part *= 1.1
    return float(round(part) * params[0]["partitions"])


def _parts_needed(rows: np.ndarray, fixed: np.ndarray, running: np.ndarray, residues: float, part: float) -> float:
    need = np.ceil((fixed + 16 * rows["kv_bytes_per_token"]) / part)
    return max(need[running].sum(), need.max()) + np.ceil(residues / part)


def _params(features: Features, rng: np.random.Generator) -> np.ndarray:
    horizon_s = float(rng.uniform(5.0, 40.0))
    values = {
        "horizon_s": horizon_s,
        "drain_cap_s": 4.0 * horizon_s,
        "max_num_seqs": features.max_num_seqs,
        "max_num_batched_tokens": features.max_num_batched_tokens,
        "node_queue_limit": features.queue_limit,
        "mps": features.sharing == "mps",
        "partitioned": features.memory == "partitioned",
        "partitions": int(rng.integers(5, 13)),
        "prefix_caching": features.caching,
        "kv_virtual_cap": float(rng.choice([3.05, 3.05, 0.05])),
        "margin_bytes": 1e9,
        "sleep_bytes": 2e8,
        "growth_bytes": float(2 ** rng.choice([0, *range(21, 28)])),
        "growth_s": float(rng.choice([0.0, 0.002])),
        "rho_min": 0.1,
        "rho_max": 0.3,
        "rho_step": 0.05,
        "share_decode": 0.9,
        "share_prefill": 0.96,
        "mps_share_decode": 0.6,
        "mps_prefill_exponent": 0.64,
        "wake_base_s": 0.2 * rng.uniform(0.5, 1.0),
        "sleep_base_s": 0.03 * rng.uniform(0.5, 3.0),
        "cpu_base_s": rng.uniform(0.2, 3.0),
        "cpu_s_per_byte": 1e-11,
        "cpu_s_per_layer": 0.01,
        "warmup_s": float(rng.choice([0.0, 0.7])),
        "first_sleep_factor": 2.0,
        "api_s": float(rng.choice([0.0, 0.03])),
        "schedule_ahead": features.schedule_ahead,
        "dispatch_s": float(rng.choice([0.0, 0.02])),
        "wait_max_s": rng.uniform(1.0, 5.0),
        "admission": features.admission,
        **_scaling(features),
        "regroup_period_s": 1.3 if features.regroups else 0.0,
        "regroup_s": 0.9,
        "routers": features.routers,
        "context_hold_max_s": 5.0 if features.decides_contexts else 0.0,
        "sample_period_s": 0.0,
    }
    params = np.zeros(1, PARAMS)
    for name, value in values.items():
        params[name] = value
    return params


def _scaling(features: Features) -> dict[str, float]:
    """When nodes may be started and stopped, what a start takes, and how few and how many may be on."""
    rng = np.random.default_rng((features.seed, 7))
    fleet = features.clusters * features.hosts * features.nodes
    least = int(rng.integers(1, fleet + 1)) if rng.random() < 0.3 else 1
    return {
        "scale_period_s": float(rng.choice([0.6, 1.7, 4.0])) if features.scaling else 0.0,
        "node_start_s": float(rng.choice([0.0, 0.5, 2.5])),
        "min_nodes": least,
        "max_nodes": max(least, fleet - int(rng.integers(2))),
    }


def _episode(features: Features, rng: np.random.Generator) -> Episode:
    num_roles = int(rng.integers(1, MOST_ROLES + 1))
    sys_tokens = rng.integers(0, 160, num_roles)
    horizon_s = rng.uniform(0.1, 4.0)
    flows, stages, hidden, predictions, children = [], [], [], [], []
    tenants = _who_asks(features)
    for job, arrival_s in enumerate(np.sort(rng.uniform(0.0, horizon_s, features.jobs))):
        first, calls = len(stages), int(rng.integers(1, 6))
        limit_s = rng.uniform(1.0, 20.0)
        flow = np.zeros((), WORKFLOW)
        flow["arrival_s"], flow["deadline_s"], flow["ttft_limit_s"] = arrival_s, arrival_s + limit_s, 0.2 * limit_s
        flow["weight"], flow["cls"] = rng.uniform(0.5, 2.0), rng.integers(2)
        flow["tenant"] = tenants[job]
        flow["ingress_cluster"] = rng.integers(features.clusters)
        flow["first_stage"], flow["num_stages"] = first, calls
        flows.append(flow)
        parents = [sorted({int(p) for p in rng.integers(0, k, rng.integers(0, 3))}) if k else [] for k in range(calls)]
        held = 0
        model = int(rng.integers(features.models))
        for k in range(calls):
            role = int(rng.integers(num_roles))
            model = model if rng.random() < 0.6 else int(rng.integers(features.models))
            output = int(rng.integers(1, 120))
            # Half of the calls go on with the context of their workflow.
            shared = held if rng.random() < 0.5 else 0
            prompt = max(int(sys_tokens[role]), shared) + int(rng.integers(17, 300))
            stage, truth, guess = np.zeros((), STAGE), np.zeros((), STAGE_HIDDEN), np.zeros((), PREDICTION)
            stage["workflow"], stage["role"], stage["model"], stage["prompt_tokens"] = job, role, model, prompt
            stage["max_output_tokens"] = output + int(rng.integers(0, 120))
            stage["sys_group"], stage["sys_prefix_tokens"] = (role, sys_tokens[role]) if sys_tokens[role] else (-1, 0)
            stage["ctx_group"], stage["ctx_prefix_tokens"] = (100 + job, shared) if rng.random() < 0.8 else (-1, 0)
            kids = [first + other for other in range(k + 1, calls) if k in parents[other]]
            truth["output_tokens"], truth["num_parents"] = output, len(parents[k])
            truth["tool_gap_s"] = rng.choice([0.0, rng.uniform(0.0, 2.0)])
            truth["tool_intent"] = (job + k) % 3 > 0
            truth["tool_gap_s"] *= 1 + 4 * features.tools  # else a place is free too often
            truth["child_start"], truth["num_children"] = len(children), len(kids)
            children += kids
            guess["output_q50_tokens"] = output * rng.lognormal(0.0, rng.choice([0.0, 0.7]))
            guess["output_q90_tokens"] = 1.5 * guess["output_q50_tokens"]
            stages.append(stage)
            hidden.append(truth)
            predictions.append(guess)
            held = prompt + output
    return Episode(
        np.array(flows, WORKFLOW),
        np.array(stages, STAGE),
        np.array(hidden, STAGE_HIDDEN),
        np.array(predictions, PREDICTION),
        np.array(children, np.int64),
    )
