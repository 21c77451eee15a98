"""The world: what the fleet is. Read-only in a run, and one for all environments of a batch."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from maestro_gym.state.episode import SERVICE
from maestro_gym.state.fields import Field, of, plain, record

NODE_SPEC = record(
    Field("cluster", "i8", "id", "its cluster"),
    Field("host", "i8", "id", "its host"),
    Field("hardware", "i8", "id", "row of the step tables"),
    Field("hbm_pool_bytes", "f8", "bytes", "usable HBM times gpu_memory_utilization"),
    Field("usd_per_h", "f8", "USD/h", "of its GPUs, busy or idle; nan where a price is not known"),
    Field("max_w", "f8", "W", "power limit of its GPUs; nan where it is not known"),
    Field("duty", "i8", "code", "DUTY_*: which part of a call it computes"),
    Field("gpus", "i8", "GPUs", "tensor-parallel degree: a load moves this times the share of one GPU"),
    Field("board", "i8", "id", "board whose GPUs it shares with other nodes, -1 = they are its own"),
    Field("begins_off", "i8", "flag", "whether another node of its board has its GPUs at the start"),
)

# GPUs of a host that may be regrouped: the nodes of every degree on them, of which those of one are on at a time.
BOARD_SPEC = record(
    Field("first_node", "i8", "id", "its nodes follow each other, by degree"),
    Field("num_nodes", "i8", "nodes", "of all degrees"),
)

HOST_SPEC = record(
    Field("dram_bytes", "f8", "bytes", "for weights: page cache and pinned copies of sleepers"),
    Field("nvme_bytes", "f8", "bytes", "for weights on disk"),
    Field("pcie_gpu_bytes_per_s", "f8", "bytes/s", "host to GPU, one GPU alone"),
    Field("pcie_host_bytes_per_s", "f8", "bytes/s", "host to GPU, all GPUs of the host together"),
    Field("nvme_bytes_per_s", "f8", "bytes/s", "disk to DRAM"),
    Field("nic_bytes_per_s", "f8", "bytes/s", "network to disk"),
)

MODEL_SPEC = record(
    Field("arch", "i8", "id", "row of the step tables"),
    Field("max_model_len", "i8", "tokens", "longest context"),
    Field("popularity", "f8", "1", "expected share of stages, for warm placement"),
    Field("barred_nodes", "i8", "nodes", "on which it may not be placed"),
)

# How one architecture runs on one kind of node, for each GPU (docs/physics.md, "A step of an engine").
PERF = record(
    Field("weight_bytes", "f8", "bytes", "weights"),
    Field("kv_bytes_per_token", "f8", "bytes/token", "KV of one token"),
    Field("layers", "f8", "layers", "of the architecture"),
    Field("att_prefill_const_s", "f8", "s", "a step with any prefill"),
    Field("att_prefill_s_per_pair", "f8", "s/pair", "times sum_i q_i * (ctx_i + q_i / 2)"),
)

# What attention adds to a step in which a number of sequences decode, on one kind of node.
DECODE = record(
    Field("const_s", "f8", "s", "however much they read"),
    Field("s_per_token", "f8", "s/token", "times the KV tokens that they read together"),
)

PARAMS = record(
    Field("horizon_s", "f8", "s", "arrivals stop here (evaluation), or the episode is truncated (training)"),
    Field("drain_cap_s", "f8", "s", "evaluation: absolute end of the drain; equals horizon_s in training"),
    Field("max_num_seqs", "i8", "sequences", "that one engine runs at once"),
    Field("max_num_batched_tokens", "i8", "tokens", "of one step"),
    Field("node_queue_limit", "i8", "stages", "that may wait at a node"),
    Field("mps", "i8", "flag", "0 timeslice, 1 mps"),
    Field("partitioned", "i8", "flag", "0 elastic, 1 partitioned"),
    Field("partitions", "i8", "shares", "into which partitioned HBM is divided"),
    Field("prefix_caching", "i8", "flag", "whether prefixes are reused"),
    Field("kv_virtual_cap", "f8", "1", "granted address space is at most this times usable HBM"),
    Field("margin_bytes", "f8", "bytes", "for each RUNNING engine"),
    Field("sleep_bytes", "f8", "bytes", "HBM kept by a SLEEPING engine"),
    Field("growth_bytes", "f8", "bytes", "one growth of a reservation"),
    Field("growth_s", "f8", "s", "its cost, added to the engine's next step"),
    Field("rho_min", "f8", "1", "least margin of adaptive reservations"),
    Field("rho_max", "f8", "1", "greatest margin of adaptive reservations"),
    Field("rho_step", "f8", "1", "weight of the newest under-estimation in the running mean"),
    Field("share_decode", "f8", "1", "busy share of a decoding engine, timeslice"),
    Field("share_prefill", "f8", "1", "busy share of an engine with prefill, timeslice"),
    Field("mps_share_decode", "f8", "1", "share of HBM bandwidth that a decoding engine takes, mps"),
    Field("mps_prefill_exponent", "f8", "1", "prefill slows by its share of SMs to this power, mps"),
    Field("wake_base_s", "f8", "s", "fixed part of a wake"),
    Field("sleep_base_s", "f8", "s", "fixed part of going to sleep"),
    Field("cpu_base_s", "f8", "s", "fixed part of an engine's start"),
    Field("cpu_s_per_byte", "f8", "s/byte", "of weights, in an engine's start"),
    Field("cpu_s_per_layer", "f8", "s/layer", "in an engine's start"),
    Field("warmup_s", "f8", "s", "first request after a cold start"),
    Field("first_sleep_factor", "f8", "1", "the first demotion to SLEEPING takes this times as long (pinning memory)"),
    Field("api_s", "f8", "s", "for each call"),
    Field("schedule_ahead", "i8", "flag", "whether an engine schedules a step while the one before it runs"),
    Field("dispatch_s", "f8", "s", "from admission to the engine, a place of the batch taken"),
    Field("wait_max_s", "f8", "s", "after which a place that waits is asked again"),
    Field("admission", "i8", "flag", "whether the global tier may reject a workflow"),
    Field("scale_period_s", "f8", "s", "between two moments at which nodes may be started and stopped; 0 = never"),
    Field("node_start_s", "f8", "s", "from the order to start a node until it can load models"),
    Field("min_nodes", "i8", "nodes", "that must stay on"),
    Field("max_nodes", "i8", "nodes", "that may be on"),
    Field("context_hold_max_s", "f8", "s", "that a node may hold a context across a tool's wait; 0 = it never does"),
    Field("regroup_period_s", "f8", "s", "between two moments at which GPUs may be regrouped; 0 = never"),
    Field("regroup_s", "f8", "s", "from the last stage of the old groups of GPUs until the new ones serve"),
    Field("metrics_delay_s", "f8", "s", "age of metric fields; 0 = always fresh"),
    Field("routers", "i8", "routers", "each with scrapes of its own"),
    Field("own_sends", "i8", "flag", "whether a router counts what it has sent since its last scrape"),
    Field("sample_period_s", "f8", "s", "between two rows of the time series; 0 = none"),
)


TENANT_SPEC = record(
    Field("weight", "f8", "1", "its share of the service, relative to the other tenants"),
    Field("share", "f8", "1", "the same over the sum of all, those who ask for nothing among them"),
    Field("quota_tokens_per_s", "f8", "tokens/s", "service that it has paid for, inf = no quota"),
)

TOOL_SPEC = record(
    Field("places", "i8", "places", "calls that it serves at once"),
)

# How old the routers' knowledge of one kind of signal is (docs/stale_signals.md).
SIGNAL = record(
    Field("period_s", "f8", "s", "between two scrapes; 0 = always fresh"),
    Field("delay_s", "f8", "s", "from a scrape to where it is known, at most the period"),
)


class World(NamedTuple):
    """The fleet and its performance tables.

    Axes: N nodes, H hosts, M models, C and D clusters, A architectures, G kinds of node, T tokens, S sequences,
    O tenants (owners), k kinds of signals, t types of tools with finite places, r roles, b boards of GPUs that may be
    regrouped.
    """

    nodes: Annotated[np.ndarray, of("N", NODE_SPEC)]
    hosts: Annotated[np.ndarray, of("H", HOST_SPEC)]
    boards: Annotated[np.ndarray, of("b", BOARD_SPEC)]
    models: Annotated[np.ndarray, of("M", MODEL_SPEC)]
    perf: Annotated[np.ndarray, of("GA", PERF)]
    step_s: Annotated[np.ndarray, plain("GAT", "f8", "s", "part of a step that depends on its tokens, 0 to the budget")]
    sample_s: Annotated[np.ndarray, plain("GAS", "f8", "s", "part of a step that depends on sequences that sample")]
    decode: Annotated[np.ndarray, of("GAS", DECODE)]  # by sequences that decode
    latency_s: Annotated[np.ndarray, plain("CD", "f8", "s", "between clusters, one way")]
    bytes_per_s: Annotated[np.ndarray, plain("CD", "f8", "bytes/s", "between clusters")]
    service: Annotated[np.ndarray, of("M", SERVICE)]
    tenants: Annotated[np.ndarray, of("O", TENANT_SPEC)]
    barred: Annotated[np.ndarray, plain("NM", "i8", "flag", "whether a model may not be placed on a node")]
    signals: Annotated[np.ndarray, of("k", SIGNAL)]  # SIGNAL_*
    tools: Annotated[np.ndarray, of("t", TOOL_SPEC)]
    tool_of: Annotated[
        np.ndarray, plain("r", "i8", "id", "type of the tools that a role calls, -1 = one without bounds")
    ]
    params: Annotated[np.ndarray, of("I", PARAMS)]  # one record of the scenario's scalars
