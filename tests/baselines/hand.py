"""Views small enough to reason about by hand: built field by field, no simulator behind them."""

from __future__ import annotations

import math

import numpy as np

from maestro_gym.core.boxed import box
from maestro_gym.scheduling.policy import Rule
from maestro_gym.schema import (
    CLOCK,
    CPU,
    ENGINE_AWAKE,
    ENGINE_LOADING,
    ENGINE_VIEW,
    HOST_MODEL,
    HOST_SPEC,
    MEMORY,
    MODEL_SPEC,
    MODEL_VIEW,
    NODE_SPEC,
    NODE_VIEW,
    PARAMS,
    PERF,
    PREDICTION,
    PREFIX,
    RECLAIM,
    SERVICE,
    STAGE,
    STAGE_HIDDEN,
    STAGE_VIEW,
    TIER_CLUSTER,
    TIER_GLOBAL,
    TIER_NODE,
    WORKFLOW,
    WORKFLOW_VIEW,
    Hidden,
    View,
    World,
)
from maestro_gym.sim.engine import HIDDEN, VIEW

GB = 1e9
NOW_S = 100.0
STAGES = 12
NO_ORACLE_SHAPE = (0, 0)


def _records(dtype: np.dtype, *shape: int) -> np.ndarray:
    return np.zeros(shape, dtype).view(np.recarray)


def make_world(num_clusters: int, nodes_per_cluster: int, num_models: int) -> World:
    """One host and GPU a node of 72 GB, models of 16 GB and 0.1 MB a token, 10 ms between clusters."""
    num_nodes = num_clusters * nodes_per_cluster
    nodes = _records(NODE_SPEC, num_nodes)
    nodes.cluster = np.repeat(np.arange(num_clusters), nodes_per_cluster)
    nodes.host = np.arange(num_nodes)
    nodes.hbm_pool_bytes = 72 * GB
    hosts = _records(HOST_SPEC, num_nodes)
    hosts.dram_bytes = 1e12
    hosts.nvme_bytes = 1e13
    hosts.pcie_gpu_bytes_per_s = 20 * GB
    hosts.pcie_host_bytes_per_s = 20 * GB
    hosts.nvme_bytes_per_s = 4 * GB
    hosts.nic_bytes_per_s = 1 * GB
    hosts.gpus_per_node = 1.0
    models = _records(MODEL_SPEC, num_models)
    models.max_model_len = 32768
    models.popularity = np.arange(num_models, 0, -1)
    perf = _records(PERF, 1, 1)
    perf.weight_bytes = 16 * GB
    perf.kv_bytes_per_token = 1e5
    perf.layers = 32
    service = _records(SERVICE, num_models)
    service.prefill_s_per_token = 1e-4
    service.decode_s_per_token = 0.01
    service.max_model_len = 32768
    params = _records(PARAMS, 1)
    params.max_num_seqs = 8
    params.node_queue_limit = 8
    params.kv_virtual_cap = 3.0
    params.margin_bytes = 2 * GB
    params.sleep_bytes = 0.5 * GB
    params.growth_bytes = 2**27
    params.growth_s = 0.002
    params.wake_base_s = 0.2
    params.cpu_base_s = 22.0
    params.rho_min = 0.1
    latency_s = np.full((num_clusters, num_clusters), 0.01)
    np.fill_diagonal(latency_s, 0.0)
    steps = np.zeros((1, 1, 64))
    return World(nodes, hosts, models, perf, steps, steps, latency_s, np.full_like(latency_s, 1e9), service, params)


class Hand:
    """One environment with every field at rest; the methods move things into it."""

    def __init__(self, num_clusters: int = 1, nodes_per_cluster: int = 2, num_models: int = 3) -> None:
        self.world = make_world(num_clusters, nodes_per_cluster, num_models)
        num_nodes = num_clusters * nodes_per_cluster
        workflows = _records(WORKFLOW_VIEW, 1, STAGES)
        workflows.arrival_s = np.inf
        workflows.finished_s = np.inf
        workflows.last_preempted_s = -np.inf
        workflows.last_node = -1
        nodes = _records(NODE_VIEW, 1, num_nodes)
        nodes.kv_pool_bytes = 72 * GB
        nodes.rho = 0.1
        engines = _records(ENGINE_VIEW, 1, num_nodes, 4)
        engines.model = -1
        host_models = _records(HOST_MODEL, 1, num_nodes, num_models)
        host_models.tier = CPU
        prefixes = _records(PREFIX, 1, num_nodes, 4, 4)

        clock = _records(CLOCK, 1)
        clock.now_s = NOW_S
        clock.key = 7
        clock.wait_legal = 1
        self.view = View(
            clock=clock,
            workflows=workflows,
            stages=_records(STAGE_VIEW, 1, STAGES),
            nodes=nodes,
            engines=engines,
            models=_records(MODEL_VIEW, 1, num_models),
            waiting=np.zeros((1, num_nodes, num_models), np.int64),
            slot_of=np.full((1, num_nodes, num_models), -1, np.int64),
            changed_s=np.full((1, num_nodes, num_models), -np.inf),
            host_models=host_models,
            global_queue=np.zeros((1, STAGES), np.int32),
            node_queue=np.zeros((1, num_nodes, 8), np.int32),
            batch=np.zeros((1, num_nodes, 4, 8), np.int32),
            prefixes=prefixes,
            prefix_groups=np.full((1, num_nodes, 4, 4), -1, np.int32),
            reclaim=_records(RECLAIM, 1, 8),
            reclaim_len=np.zeros(1, np.int64),
            memory=np.zeros((1, MEMORY)),
            model_memory=np.zeros((1, num_models)),
            world=self.world,
        )
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
        rows = self.view.stages[0, list(stages)]
        for model, record in enumerate(self.view.models[0]):
            mine = rows["model"] == model
            record.ready, record.ready_sum_s = mine.sum(), rows["ready_s"][mine].sum()
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


def make_oracle(num_stages: int) -> Hidden:
    """The hidden truth, blank; with no stages it is what a rule without oracle rights receives."""
    return Hidden(
        workflows=_records(WORKFLOW, 1, num_stages),
        stages=_records(STAGE, 1, num_stages),
        truth=_records(STAGE_HIDDEN, 1, num_stages),
        predictions=_records(PREDICTION, 1, num_stages),
        children=np.zeros((1, num_stages), np.int64),
    )
