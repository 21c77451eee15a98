"""Views small enough to reason about by hand: built field by field, no simulator behind them."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from maestro_gym.baselines import build, build_reclaim
from maestro_gym.baselines.registry import NODE_RULES, ORDERS, RECLAIM_RULES, ROUTINGS
from maestro_gym.core.boxed import box
from maestro_gym.scheduling.fitness_scale import FitnessScale
from maestro_gym.scheduling.numbers import FIRST_OWN
from maestro_gym.scheduling.policy import Rule
from maestro_gym.scheduling.rules import Declared
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL, TIER_NODE
from maestro_gym.state import (
    CPU,
    ENGINE_AWAKE,
    ENGINE_LOADING,
    NUM_SIGNALS,
    NUMBERS,
    STAGE_READY,
    Hidden,
    View,
    World,
)
from maestro_gym.state.allocate import allocate, set_blank, sizes_of
from maestro_gym.state.types import HIDDEN, VIEW

GB = 1e9
NOW_S = 100.0
STAGES = 12
TENANTS = 4

Part = TypeVar("Part", bound=tuple)


def by_attribute(part: Part) -> Part:
    """The same arrays, fields of records read and written as attributes."""
    return type(part)(
        *(field.view(np.recarray) if getattr(field, "dtype", None) and field.dtype.names else field for field in part)
    )


def make_world(num_clusters: int, nodes_per_cluster: int, num_models: int, num_kinds: int = 1) -> World:
    """One host and GPU a node of 72 GB, kinds in turn, models of 16 GB and 0.1 MB a token, 10 ms between clusters."""
    num_nodes = num_clusters * nodes_per_cluster
    sizes = {"N": num_nodes, "H": num_nodes, "M": num_models, "C": num_clusters, "D": num_clusters}
    sizes |= {"G": num_kinds, "A": 1, "T": 64, "S": 64, "O": TENANTS, "I": 1, "k": NUM_SIGNALS, "t": 0, "r": 0, "b": 0}
    world = allocate(World, sizes)
    nodes, hosts, models, perf, service, params = (
        getattr(world, name).view(np.recarray) for name in ("nodes", "hosts", "models", "perf", "service", "params")
    )
    nodes.cluster = np.repeat(np.arange(num_clusters), nodes_per_cluster)
    nodes.host = np.arange(num_nodes)
    nodes.hardware = np.arange(num_nodes) % num_kinds
    nodes.hbm_pool_bytes = 72 * GB
    hosts.dram_bytes = 1e12
    hosts.nvme_bytes = 1e13
    hosts.pcie_gpu_bytes_per_s = 20 * GB
    hosts.pcie_host_bytes_per_s = 20 * GB
    hosts.nvme_bytes_per_s = 4 * GB
    hosts.nic_bytes_per_s = 1 * GB
    nodes.gpus, nodes.board = 1, -1
    models.max_model_len = 32768
    models.popularity = np.arange(num_models, 0, -1)
    perf.weight_bytes = 16 * GB
    perf.kv_bytes_per_token = 1e5
    perf.layers = 32
    service.prefill_s_per_token = 1e-4
    service.decode_s_per_token = 0.01
    service.max_model_len = 32768
    tenants = world.tenants
    tenants["weight"], tenants["share"], tenants["quota_tokens_per_s"] = 1.0, 1.0 / TENANTS, math.inf
    params.max_num_seqs = 8
    params.node_queue_limit = 8
    params.kv_virtual_cap = 3.0
    params.margin_bytes = 2 * GB
    params.sleep_bytes = 0.5 * GB
    params.growth_bytes = 2**27
    params.growth_s = 0.002
    params.wake_base_s = 0.2
    params.sleep_base_s = 0.2
    params.cpu_base_s = 22.0
    params.rho_min = 0.1
    params.routers = 1
    world.latency_s[:] = 0.01
    np.fill_diagonal(world.latency_s, 0.0)
    world.bytes_per_s[:] = 1e9
    return by_attribute(world)


class Hand:
    """One environment with every field at rest; the methods move things into it."""

    def __init__(
        self, num_clusters: int = 1, nodes_per_cluster: int = 2, num_models: int = 3, num_kinds: int = 1
    ) -> None:
        self.world = make_world(num_clusters, nodes_per_cluster, num_models, num_kinds)
        sizes = {"E": 1, "W": STAGES, "S": STAGES, "K": 4, "Q": 8, "B": 8, "X": 4, "R": 8}
        view = allocate(View, sizes_of(self.world) | sizes, world=self.world)
        set_blank(view, 0)
        self.view = by_attribute(view)
        self.view.nodes.kv_pool_bytes = 72 * GB
        self.view.nodes.rho = 0.1
        self.view.host_models.tier = CPU
        self.view.numbers[0, NUMBERS:] = FitnessScale()
        self.view.clock.now_s = NOW_S
        self.view.clock.key = 7
        self.view.clock.wait_legal = 1
        self.oracle = make_oracle(0)
        self._stages = 0

    def stage(
        self,
        model: int = 0,
        *,
        ready_s: float = NOW_S - 1.0,
        workflow: int | None = None,
        cls: int = 0,
        prompt: int = 1000,
        output: float = 100.0,
        limit: int = 1000,
        remaining_s: float = 10.0,
        deadline_s: float = math.inf,
        stages_done: int = 0,
    ) -> int:
        """Add a stage, of a workflow of its own unless one is named; returns its id."""
        stage = self._stages
        self._stages += 1
        row = self.view.stages[0, stage]
        row.workflow = stage if workflow is None else workflow
        row.model, row.cls, row.ready_s, row.queued_s = model, cls, ready_s, ready_s
        row.prompt_tokens, row.max_output_tokens = prompt, limit
        row.output_q50_tokens = row.output_q90_tokens = output
        row.remaining_s_q50 = row.remaining_s_q90 = remaining_s
        row.sys_group = row.ctx_group = -1
        owner = self.view.workflows[0, row.workflow]
        owner.arrival_s, owner.deadline_s, owner.cls, owner.stages_done = ready_s, deadline_s, cls, stages_done
        return stage

    def ready(self, *stages: int) -> None:
        """The stages wait in the global queue, and it is the global tier's turn."""
        self.view.global_queue[0, : len(stages)] = stages
        self.view.clock.global_len = len(stages)
        self.view.stages["phase"][0, list(stages)] = STAGE_READY
        rows = self.view.stages[0, list(stages)]
        for model, record in enumerate(self.view.models[0]):
            mine = rows["model"] == model
            record.ready, record.ready_sum_s = mine.sum(), rows["ready_s"][mine].sum()
        owners = self.view.workflows["tenant"][0, rows["workflow"]]
        self.view.tenants["ready"][0] = np.bincount(owners, minlength=TENANTS)
        self.view.clock.tier = TIER_GLOBAL
        self.view.clock.stage = -1

    def route(self, stage: int, cluster: int = 0) -> None:
        """A stage was sent to a cluster, whose turn it is."""
        self.view.clock.tier = TIER_CLUSTER
        self.view.clock.stage = stage
        self.view.clock.cluster = cluster
        self.view.clock.place = cluster

    def queue(self, node: int, *stages: int) -> None:
        """The stages wait on a node, whose turn it is."""
        self.view.node_queue[0, node, : len(stages)] = stages
        self.view.nodes[0, node].queue_len = len(stages)
        models = self.view.stages[0, list(stages)]["model"]
        self.view.waiting[0, node] = np.bincount(models, minlength=len(self.view.models[0]))
        self.view.models["waiting"][0] = self.view.waiting[0].sum(0)
        self.view.clock.tier = TIER_NODE
        self.view.clock.place = node

    def engine(
        self, node: int, model: int, status: int = ENGINE_AWAKE, *, running: int = 0, used_s: float = 0.0
    ) -> int:
        """Put a model into the first free slot of a node, its HBM booked; returns the slot."""
        engines = self.view.engines[0, node]
        slot = int(np.flatnonzero(engines["model"] < 0)[0])
        engines[slot].model, engines[slot].status = model, status
        engines[slot].running, engines[slot].last_used_s = running, used_s
        self.view.slot_of[0, node, model] = slot
        self.view.models[0, model].warm_nodes += status in (ENGINE_AWAKE, ENGINE_LOADING)
        booked = 18 * GB if status in (ENGINE_AWAKE, ENGINE_LOADING) else 0.5 * GB
        self.view.nodes[0, node].weights_bytes += booked
        self.view.nodes[0, node].kv_pool_bytes -= booked
        self.view.nodes[0, node].running += running
        return slot

    def load(
        self,
        node: int,
        *,
        queued: int = 0,
        model: int = 0,
        running: int = 0,
        work_s: float = 0.0,
        reserved_gb: float = 0.0,
    ) -> None:
        """Set the load of a node as the routing rules see it; what is on the way to it asks for one model."""
        row = self.view.nodes[0, node]
        self.view.waiting[0, node] = np.eye(len(self.view.models[0]), dtype=np.int64)[model] * queued
        self.view.models["waiting"][0] = self.view.waiting[0].sum(0)
        row.inbound, row.running = queued, running
        row.queued_work_s = work_s
        row.kv_reserved_bytes = row.kv_used_bytes = reserved_gb * GB

    def given(self, rule: Declared) -> None:
        """The policy has the numbers of a rule, at their defaults."""
        self.view.numbers[0, FIRST_OWN:NUMBERS] = 0.0
        for place, number in enumerate(rule.numbers, FIRST_OWN):
            self.view.numbers[0, place] = number.default

    def offer(self, kind: int, slot: int, *, stage: int = -1, freed_gb: float = 1.0, harm_s: float = 0.0) -> None:
        """Append a candidate of a reclaim."""
        row = self.view.reclaim[0, self.view.reclaim_len[0]]
        row.kind, row.slot, row.stage = kind, slot, stage
        row.freed_bytes, row.harm_s = freed_gb * GB, harm_s
        node = int(self.view.clock[0].place)
        row.last_used_s = self.view.engines[0, node, slot].last_used_s
        self.view.reclaim_len[0] += 1


def ask(rule: Rule, hand: Hand) -> int:
    """What a rule answers."""
    return int(rule.function(box(hand.view, VIEW), box(hand.oracle, HIDDEN), 0))


def order_key(name: str, hand: Hand, stage: int) -> float:
    """Key of a stage in an order."""
    return float(ORDERS[name].key(box(hand.view, VIEW), box(hand.oracle, HIDDEN), 0, stage))


def order_of(name: str, hand: Hand, *stages: int) -> list[int]:
    """Stages as an order sorts them, with the defaults of its numbers: by band, by key, by their place in the list."""
    order = ORDERS[name]
    hand.given(order)
    view = box(hand.view, VIEW)
    return sorted(stages, key=lambda stage: (order.band(view, 0, stage), order_key(name, hand, stage)))


def global_rule(name: str) -> Rule:
    """The global rule ``order/placement``."""
    order, _, placement = name.partition("/")
    return build.global_rule(ORDERS[order], ROUTINGS[placement])


def cluster_rule(name: str) -> Rule:
    """A cluster rule by name."""
    return build.cluster_rule(ROUTINGS[name])


def node_rule(name: str) -> Rule:
    """A node rule by name."""
    return build.node_rule(NODE_RULES[name])


def reclaim_rule(name: str) -> Rule:
    """A reclaim rule by name."""
    return build_reclaim.reclaim_rule(RECLAIM_RULES[name])


def make_oracle(num_stages: int) -> Hidden:
    """The hidden truth, blank; with no stages it is what a rule without oracle rights receives."""
    return by_attribute(allocate(Hidden, dict.fromkeys("WSJf", num_stages) | {"E": 1}))
