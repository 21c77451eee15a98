"""The world and the episode as plain objects: what the reference simulator takes in.

Nothing else in the reference reads a structured array.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from maestro_gym.state import DUTY_NAMES, Episode, World

BLOCK = 16
"""Tokens of a KV block."""

INTERACTIVE = 0


def up_to_blocks(tokens: int) -> int:
    """Tokens rounded up to whole blocks."""
    return (tokens + BLOCK - 1) // BLOCK * BLOCK


def down_to_blocks(tokens: int) -> int:
    """Tokens rounded down to whole blocks."""
    return tokens // BLOCK * BLOCK


@dataclass(frozen=True)
class Speed:
    """One architecture on one kind of node: the operator sums of the step model, per GPU."""

    weight_bytes: float
    kv_bytes_per_token: float
    layers: float
    prefill_const_s: float
    prefill_s_per_pair: float
    decode_s: tuple[tuple[float, float], ...]
    by_tokens_s: tuple[float, ...]
    by_samples_s: tuple[float, ...]

    def step_s(self, chunks: list[tuple[int, int]], contexts: list[int], samples: int) -> float:
        """Seconds of one step that nothing slows.

        Args:
            chunks: (new tokens q, tokens before them ctx) of every prompt chunk.
            contexts: KV tokens that each decoding sequence reads, its new one included.
            samples: sequences that sample a token.
        """
        tokens = sum(q for q, _ in chunks) + len(contexts)
        seconds = self.by_tokens_s[tokens] + self.by_samples_s[samples]
        if chunks:
            pairs = sum(q * (ctx + q / 2) for q, ctx in chunks)
            seconds += self.prefill_const_s + self.prefill_s_per_pair * pairs
        if contexts:
            const_s, s_per_token = self.decode_s[len(contexts)]
            seconds += const_s
            seconds += s_per_token * sum(contexts)
        return seconds


@dataclass(frozen=True)
class HostSpec:
    """A machine: what its nodes share."""

    dram_bytes: float
    nvme_bytes: float
    pcie_gpu_bytes_per_s: float
    pcie_host_bytes_per_s: float
    nvme_bytes_per_s: float
    nic_bytes_per_s: float


@dataclass(frozen=True)
class NodeSpec:
    """A tensor-parallel group of GPUs, and how each model would run on it."""

    cluster: int
    host: int
    hbm_pool_bytes: float
    speeds: tuple[Speed, ...]
    barred: frozenset[int]
    duty: str
    gpus: int
    board: int
    begins_off: bool


@dataclass(frozen=True)
class Service:
    """Nominal speed of a model, from which estimates are made."""

    prefill_base_s: float
    prefill_s_per_token: float
    decode_s_per_token: float

    def seconds(self, prompt_tokens: float, output_tokens: float) -> float:
        """Nominal time of a stage."""
        return self.prefill_base_s + self.prefill_s_per_token * prompt_tokens + self.decode_s_per_token * output_tokens


@dataclass(frozen=True)
class Fleet:
    """The world."""

    nodes: tuple[NodeSpec, ...]
    hosts: tuple[HostSpec, ...]
    service: tuple[Service, ...]
    latency_s: tuple[tuple[float, ...], ...]
    bytes_per_s: tuple[tuple[float, ...], ...]
    limits: dict[str, float]
    tool_places: tuple[int, ...]
    tool_of_role: tuple[int, ...]
    signals: tuple[tuple[float, float], ...]
    popularity: tuple[float, ...]

    @property
    def num_models(self) -> int:
        """Deployments."""
        return len(self.service)


@dataclass(frozen=True)
class Job:
    """A workflow, as it will go."""

    arrival_s: float
    deadline_s: float
    ttft_limit_s: float
    weight: float
    cls: int
    ingress: int
    tenant: int
    stages: range


@dataclass
class Stage:
    """One call: what it is, what is predicted of it, what is true, and what became of it."""

    id: int
    job: Job
    job_id: int
    model: int
    prompt: int
    max_output: int
    sys_group: int
    sys_tokens: int
    ctx_group: int
    ctx_tokens: int
    output: int
    gap_s: float
    role: int
    calls_tool: bool
    children: tuple[int, ...]
    q50: float
    q90: float
    parents_left: int

    phase: str = "future"
    node: int = -1
    cluster: int = -1
    generated: int = 0
    passed_over: bool = False
    preemptions: int = 0
    restarts: int = 0
    growths: int = 0
    prefix_hit: int = 0
    tool: int = -1
    brought: int = 0
    times: dict[str, float] = field(default_factory=dict)


def read_world(world: World) -> Fleet:
    """Convert a world."""
    speeds = [
        [
            Speed(
                weight_bytes=float(perf["weight_bytes"]),
                kv_bytes_per_token=float(perf["kv_bytes_per_token"]),
                layers=float(perf["layers"]),
                prefill_const_s=float(perf["att_prefill_const_s"]),
                prefill_s_per_pair=float(perf["att_prefill_s_per_pair"]),
                decode_s=tuple((float(row["const_s"]), float(row["s_per_token"])) for row in world.decode[g, a]),
                by_tokens_s=tuple(world.step_s[g, a].tolist()),
                by_samples_s=tuple(world.sample_s[g, a].tolist()),
            )
            for a, perf in enumerate(row)
        ]
        for g, row in enumerate(world.perf)
    ]
    archs = [int(arch) for arch in world.models["arch"]]
    return Fleet(
        nodes=tuple(
            NodeSpec(
                int(node["cluster"]),
                int(node["host"]),
                float(node["hbm_pool_bytes"]),
                tuple(speeds[int(node["hardware"])][arch] for arch in archs),
                frozenset(model for model, flag in enumerate(barred) if flag),
                DUTY_NAMES[int(node["duty"])],
                int(node["gpus"]),
                int(node["board"]),
                bool(node["begins_off"]),
            )
            for node, barred in zip(world.nodes, world.barred.tolist(), strict=True)
        ),
        hosts=tuple(HostSpec(*(float(value) for value in host)) for host in world.hosts),
        service=tuple(Service(*(float(row[name]) for name in Service.__annotations__)) for row in world.service),
        latency_s=tuple(map(tuple, world.latency_s.tolist())),
        bytes_per_s=tuple(map(tuple, world.bytes_per_s.tolist())),
        tool_places=tuple(int(row["places"]) for row in world.tools),
        tool_of_role=tuple(world.tool_of.tolist()),
        signals=tuple((float(row["period_s"]), float(row["delay_s"])) for row in world.signals),
        popularity=tuple(world.models["popularity"].tolist()),
        limits={name: world.params[0][name].item() for name in world.params.dtype.names or ()},
    )


def read_episode(episode: Episode) -> tuple[list[Job], list[Stage]]:
    """Convert an episode."""
    jobs = [
        Job(
            arrival_s=float(row["arrival_s"]),
            deadline_s=float(row["deadline_s"]),
            ttft_limit_s=float(row["ttft_limit_s"]),
            weight=float(row["weight"]),
            cls=int(row["cls"]),
            ingress=int(row["ingress_cluster"]),
            tenant=int(row["tenant"]),
            stages=range(int(row["first_stage"]), int(row["first_stage"] + row["num_stages"])),
        )
        for row in episode.workflows
    ]
    stages = []
    for number, (row, truth, guess) in enumerate(zip(episode.stages, episode.hidden, episode.predictions, strict=True)):
        first = int(truth["child_start"])
        stages.append(
            Stage(
                id=number,
                job=jobs[int(row["workflow"])],
                job_id=int(row["workflow"]),
                model=int(row["model"]),
                prompt=int(row["prompt_tokens"]),
                max_output=int(row["max_output_tokens"]),
                sys_group=int(row["sys_group"]),
                sys_tokens=int(row["sys_prefix_tokens"]),
                ctx_group=int(row["ctx_group"]),
                ctx_tokens=int(row["ctx_prefix_tokens"]),
                output=int(truth["output_tokens"]),
                gap_s=float(truth["tool_gap_s"]),
                role=int(row["role"]),
                calls_tool=bool(truth["tool_intent"]),
                children=tuple(int(c) for c in episode.children[first : first + int(truth["num_children"])]),
                q50=float(guess["output_q50_tokens"]),
                q90=float(guess["output_q90_tokens"]),
                parents_left=int(truth["num_parents"]),
            )
        )
    return jobs, stages
