"""Nodes, engines and sequences as plain objects; every sum of memory is taken from its parts.

Conventions beside the formulas (docs/physics.md, "Prefix reuse"):

- An engine keeps at most 64 prefixes in numbered places; a new one takes the lowest free place.
  Among prefixes used last at the same instant, the lowest engine slot and then place goes first.
- A prefix of a workflow's context owns only the blocks beyond those of the system prompt that it
  begins with (its *base*), if it begins with all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.reference.inputs import Fleet, Job, NodeSpec, Speed, Stage

if TYPE_CHECKING:
    from tests.reference.signals import Scrape

PREFIX_PLACES = 64
TIE_S = 1e-9
"""Events closer than this are simultaneous."""


@dataclass(eq=False)
class Prefix:
    """Cached blocks of a prefix group."""

    group: int
    tokens: int
    base: Prefix | None
    base_tokens: int
    used_s: float
    held_until_s: float = -math.inf
    dram_tokens: int = 0

    @property
    def own_tokens(self) -> int:
        """Tokens whose blocks this prefix owns."""
        return self.tokens - self.base_tokens


@dataclass(eq=False)
class Sequence:
    """An admitted stage."""

    stage: Stage
    target: int
    hit: int
    private: int
    prefix: Prefix | None
    start_s: float
    admitted_s: float
    computed: int
    most: int
    begun: int = 0
    scheduled: int = 0
    joining: bool = False

    @property
    def prefilling(self) -> bool:
        """Whether tokens of its prompt are still to compute."""
        return self.computed < self.target

    @property
    def is_full(self) -> bool:
        """Whether its next token has no page."""
        return self.computed + 1 > self.hit + self.private

    def has_memory(self, now_s: float) -> bool:
        """Whether the memory that was freed for it has arrived."""
        return self.start_s <= now_s + TIE_S


@dataclass
class Step:
    """One step under way."""

    begin_s: float
    end_s: float
    nominal_s: float
    phase: str


@dataclass
class Load:
    """A model on its way to the GPU: one part after the other."""

    source: str
    room_s: float
    part: str = ""
    end_s: float = math.inf
    left_bytes: float = 0.0
    rate: float = 0.0
    updated_s: float = 0.0


@dataclass(eq=False)
class Engine:
    """A model on a node that is running, loading or asleep.

    Attributes:
        status: loading, awake or asleep.
        at_boundary: between two steps, to be planned before time goes on.
        owed_s: what its next step pays: page mapping.
        cold: its first request after a start pays the warm-up.
        seen_bytes: KV in use at the last look, where looks are a while apart.
    """

    model: int
    speed: Speed
    status: str
    used_s: float
    pool_bytes: float = 0.0
    slept_before: bool = False
    batch: list[Sequence] = field(default_factory=list)
    prefixes: list[Prefix | None] = field(default_factory=lambda: [None] * PREFIX_PLACES)
    at_boundary: bool = False
    owed_s: float = 0.0
    cold: bool = False
    phase: str = "idle"
    step: Step | None = None
    load: Load | None = None
    seen_bytes: float = 0.0

    @property
    def is_idle(self) -> bool:
        """Awake, and nothing admitted."""
        return self.status == "awake" and not self.batch

    @property
    def unit(self) -> float:
        """KV bytes of a token."""
        return self.speed.kv_bytes_per_token

    def cached(self) -> list[Prefix]:
        """Its prefixes, by place."""
        return [prefix for prefix in self.prefixes if prefix is not None]

    def is_read(self, prefix: Prefix) -> bool:
        """Whether a running stage reads a prefix, or it is held, directly or through one that is based on it."""
        readers = [sequence.prefix for sequence in self.batch if sequence.prefix is not None] + self.held()
        return any(prefix in (reader, reader.base) for reader in readers)

    def held(self) -> list[Prefix]:
        """Contexts that are held while their tools run."""
        return [prefix for prefix in self.cached() if prefix.held_until_s > -math.inf]

    def is_base(self, prefix: Prefix) -> bool:
        """Whether another prefix begins with this one."""
        return any(other.base is prefix for other in self.cached())

    @property
    def pinned_bytes(self) -> float:
        """Prefix blocks that running stages read."""
        return self.unit * sum(prefix.own_tokens for prefix in self.cached() if self.is_read(prefix))

    @property
    def cached_bytes(self) -> float:
        """Prefix blocks that nobody reads, which count as free."""
        return self.unit * sum(prefix.own_tokens for prefix in self.cached() if not self.is_read(prefix))

    @property
    def reserved_bytes(self) -> float:
        """What admission set aside, and pinned prefixes."""
        return self.unit * sum(sequence.private for sequence in self.batch) + self.pinned_bytes

    @property
    def virtual_bytes(self) -> float:
        """Address space granted."""
        return self.unit * sum(sequence.most for sequence in self.batch)


@dataclass(eq=False)
class Node:
    """A node of the fleet."""

    id: int
    spec: NodeSpec
    fleet: Fleet
    slots: list[Engine | None]
    changed_s: list[float]
    rho: float
    queue: list[Stage] = field(default_factory=list)
    inbound: int = 0
    due: bool = False
    ask_again_s: float = math.inf
    life: str = "ready"
    since_s: float = 0.0
    started_s: float = math.inf
    outages: int = 0
    seen_bytes: float = 0.0
    spent_s: dict[str, float] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """Whether it counts among the nodes that are on."""
        return self.life not in ("off", "draining")

    @property
    def partitioned(self) -> bool:
        """Whether every engine has a pool of its own."""
        return bool(self.fleet.limits["partitioned"])

    def engines(self) -> list[Engine]:
        """Its engines, by slot."""
        return [engine for engine in self.slots if engine is not None]

    def engine_of(self, model: int) -> Engine | None:
        """The engine that holds a model, whatever its status."""
        return next((engine for engine in self.engines() if engine.model == model), None)

    @property
    def weights_bytes(self) -> float:
        """HBM that is not KV: weights and margins of what runs or loads, residues of sleepers."""
        limits = self.fleet.limits
        return sum(
            limits["sleep_bytes"] if engine.status == "asleep" else engine.speed.weight_bytes + limits["margin_bytes"]
            for engine in self.engines()
        )

    @property
    def pool_bytes(self) -> float:
        """HBM for KV."""
        if self.partitioned:
            return sum(engine.pool_bytes for engine in self.engines())
        return self.spec.hbm_pool_bytes - self.weights_bytes

    @property
    def reserved_bytes(self) -> float:
        """Reserved by all engines."""
        return sum(engine.reserved_bytes for engine in self.engines())

    @property
    def cached_bytes(self) -> float:
        """Cached, and free, in all engines."""
        return sum(engine.cached_bytes for engine in self.engines())

    @property
    def virtual_bytes(self) -> float:
        """Granted by all engines."""
        return sum(engine.virtual_bytes for engine in self.engines())

    def free_bytes(self, engine: Engine) -> float:
        """KV bytes that an engine can still reserve; cached prefixes count as free."""
        if self.partitioned:
            return engine.pool_bytes - engine.reserved_bytes
        return self.pool_bytes - self.reserved_bytes

    def load_room_bytes(self) -> float:
        """HBM that a new engine can take."""
        if self.partitioned:
            return self.spec.hbm_pool_bytes - self.weights_bytes - self.pool_bytes
        return self.pool_bytes - self.reserved_bytes


@dataclass(eq=False)
class Host:
    """What a machine keeps outside its GPUs: a tier and a last use for every model."""

    tier: list[str]
    used_s: list[float]


@dataclass
class State:
    """Everything at one moment."""

    fleet: Fleet
    jobs: list[Job]
    stages: list[Stage]
    nodes: list[Node]
    hosts: list[Host]
    reclaim_law: str
    now_s: float = 0.0
    queue: list[Stage] = field(default_factory=list)
    global_due: bool = False
    ask_again_s: float = math.inf
    to_route: Stage | None = None
    handed_over: list[Stage] = field(default_factory=list)
    timed: list[tuple[float, int]] = field(default_factory=list)
    arrived: int = 0
    outages: list[tuple[float, int, int, int, int, int]] = field(default_factory=list)
    link_outages: dict[frozenset[int], int] = field(default_factory=dict)
    link_downs: dict[frozenset[int], list[tuple[float, float]]] = field(default_factory=dict)
    late_tokens: dict[int, tuple[float, float]] = field(default_factory=dict)
    scaling: bool = False
    scale_s: float = math.inf
    chooses_degree: bool = False
    regroup_s: float = math.inf
    regrouping: bool = False
    boards_due: list[int] = field(default_factory=list)
    next_gpus: dict[int, int] = field(default_factory=dict)
    jobs_left: list[int] = field(default_factory=list)
    jobs_done: list[int] = field(default_factory=list)
    finished_s: list[float] = field(default_factory=list)
    rejected_s: list[float] = field(default_factory=list)
    tool_queues: list[list[Stage]] = field(default_factory=list)
    tool_calls: list[list[Stage]] = field(default_factory=list)
    orders_tools: bool = False
    undecided: list[Stage] = field(default_factory=list)
    decides_contexts: bool = False
    metrics_s: float = math.inf
    scrapes: list[Scrape] = field(default_factory=list)
    counters: dict[str, float] = field(default_factory=dict)
    residency_log: list[tuple[float, int, int, str, str]] = field(default_factory=list)

    def count(self, name: str, amount: float = 1) -> None:
        """Add to a counter."""
        self.counters[name] = self.counters.get(name, 0) + amount

    def log_residency(self, node: Node, model: int, source: str, target: str) -> None:
        """Note a change of residency."""
        node.changed_s[model] = self.now_s
        self.residency_log.append((self.now_s, node.id, model, source, target))

    def join_global(self, stage: Stage) -> None:
        """A stage waits behind all others for the global decision."""
        stage.phase = "ready"
        self.queue.append(stage)
        self.global_due = True
