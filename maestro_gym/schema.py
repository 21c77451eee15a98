"""The schema of the whole project: every record that passes between its parts.

One structured dtype an entity. Fields carry their unit in the name; ``_s`` is seconds of
simulated time, ``_bytes`` bytes of one GPU, ``_tokens`` tokens. The simulator adds a leading
environment axis to its state; episodes have none.

Episode records (static, made by ``workloads`` and ``predictors``) are the ground truth of a
run. The simulator copies what a scheduler may know into *view* records at the moment it may
know it, so that a rule that only reads the view cannot see the future.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# --- enumerations (plain ints, so that compiled code reads them as constants) ----------------

INTERACTIVE, BATCH = 0, 1
CLASS_NAMES = ("interactive", "batch")

# Where a stage is in its life.
(
    STAGE_FUTURE,  # not ready, and invisible
    STAGE_READY,  # in the global queue
    STAGE_TRANSIT,  # on its way to a node
    STAGE_QUEUED,  # waits at its node
    STAGE_RUNNING,  # admitted
    STAGE_DELIVERY,  # its answer is on its way back
    STAGE_GAP,  # delivered; its tool runs
    STAGE_FINISHED,
) = range(8)
STAGE_PHASE_NAMES = ("future", "ready", "transit", "queued", "running", "delivery", "gap", "finished")

# Where the weights of a model are, worst to best.
REMOTE, DISK, CPU, SLEEPING, RUNNING = range(5)
RESIDENCY_NAMES = ("remote", "disk", "cpu", "sleeping", "running")

# The three tiers of decisions; NO_TIER when an episode is over.
TIER_GLOBAL, TIER_CLUSTER, TIER_NODE, NO_TIER = 0, 1, 2, 3
TIER_NAMES = ("global", "cluster", "node")

# What an admission sets aside for the output of a stage.
RESERVE_ADAPTIVE, RESERVE_Q90, RESERVE_MAX, RESERVE_PROMPT = range(4)
RESERVE_NAMES = ("adaptive", "q90", "max_output", "prompt")
NUM_RESERVE_LEVELS = 4

BLOCK_TOKENS = 16
"""Tokens of one KV block (vLLM's default on GPUs)."""

# --- episode: what happens, whatever the scheduler does --------------------------------------

WORKFLOW = np.dtype(
    [
        ("arrival_s", "f8"),
        ("deadline_s", "f8"),  # absolute: arrival + the application's constant
        ("ttft_limit_s", "f8"),  # the application's limit for one interactive stage
        ("weight", "f8"),  # weight in the reward
        ("cls", "i8"),  # INTERACTIVE or BATCH
        ("application", "i8"),
        ("tenant", "i8"),
        ("ingress_cluster", "i8"),
        ("first_stage", "i8"),  # stages of a workflow are contiguous: [first_stage, +num_stages)
        ("num_stages", "i8"),  # hidden from schedulers
    ]
)

STAGE = np.dtype(
    [
        ("workflow", "i8"),
        ("role", "i8"),  # index into Workload.role_names
        ("model", "i8"),  # index into the scenario's deployments
        ("prompt_tokens", "i8"),
        ("max_output_tokens", "i8"),  # the client's limit, visible
        ("invocation_index", "i8"),  # how often this role was called before in the workflow
        ("depth", "i8"),  # longest path from a root of the workflow
        ("tools_available", "i8"),
        ("sys_group", "i8"),  # prefix group of the role's system prompt, -1 = none; episode-wide id
        ("sys_prefix_tokens", "i8"),  # leading prompt tokens shared with sys_group
        ("ctx_group", "i8"),  # prefix group of the workflow's context, -1 = none; episode-wide id, disjoint
        ("ctx_prefix_tokens", "i8"),  # leading prompt tokens shared with what ctx_group held before
    ]
)

STAGE_HIDDEN = np.dtype(
    [
        ("output_tokens", "i8"),
        ("tool_intent", "i8"),  # 1 when the stage calls a tool
        ("tool_gap_s", "f8"),  # after the stage, before its children are ready
        ("num_parents", "i8"),
        ("child_start", "i8"),  # children of s: Episode.children[child_start : child_start + num_children]
        ("num_children", "i8"),
        ("remaining_s", "f8"),  # true nominal service and gap time of the longest path from here, this stage included
        ("remaining_calls", "i8"),  # stages after this one in the workflow that depend on it
    ]
)

PREDICTION = np.dtype(
    [
        ("tool_probability", "f8"),
        ("output_q50_tokens", "f8"),
        ("output_q90_tokens", "f8"),
        ("remaining_calls", "f8"),
        ("remaining_input_tokens", "f8"),  # of later stages
        ("remaining_output_tokens", "f8"),  # of later stages
        ("future_s_q50", "f8"),  # T_future: service and gap time after this stage, no queueing
        ("future_s_q90", "f8"),
        ("remaining_s_q50", "f8"),  # T_rem = T_current + T_future
        ("remaining_s_q90", "f8"),
    ]
)


class Episode(NamedTuple):
    """One episode: workflows in order of arrival, their stages, and the predictions about them.

    Attributes:
        workflows: WORKFLOW, shape (num_workflows,), sorted by ``arrival_s``.
        stages: STAGE, shape (num_stages,), contiguous per workflow, parents before children.
        hidden: STAGE_HIDDEN, shape (num_stages,).
        predictions: PREDICTION, shape (num_stages,).
        children: int64, shape (num_edges,), stage ids, CSR by ``hidden.child_start``.
    """

    workflows: np.ndarray
    stages: np.ndarray
    hidden: np.ndarray
    predictions: np.ndarray
    children: np.ndarray


# Nominal speed of a deployment, from which predictors turn tokens into seconds (Maestro F6):
# T_current = prefill_base_s + prefill_s_per_token * prompt + decode_s_per_token * output.
SERVICE = np.dtype(
    [
        ("prefill_base_s", "f8"),
        ("prefill_s_per_token", "f8"),
        ("decode_s_per_token", "f8"),
        ("max_model_len", "i8"),
    ]
)

# --- world: what the fleet is; read-only in a run ---------------------------------------------

NODE_SPEC = np.dtype(
    [
        ("cluster", "i8"),
        ("host", "i8"),
        ("hardware", "i8"),  # row of the step tables
        ("hbm_pool_bytes", "f8"),  # usable HBM times gpu_memory_utilization
    ]
)

HOST_SPEC = np.dtype(
    [
        ("dram_bytes", "f8"),  # for weights: page cache and pinned copies of sleepers
        ("nvme_bytes", "f8"),
        ("pcie_gpu_bytes_per_s", "f8"),  # one GPU alone
        ("pcie_host_bytes_per_s", "f8"),  # all GPUs of the host together
        ("nvme_bytes_per_s", "f8"),
        ("nic_bytes_per_s", "f8"),
        ("gpus_per_node", "f8"),  # tensor-parallel degree: weights of a load are this times the GPU's share
    ]
)

MODEL_SPEC = np.dtype(
    [
        ("arch", "i8"),  # row of the step tables
        ("max_model_len", "i8"),
        ("popularity", "f8"),  # expected share of stages, for warm placement
    ]
)

# How one architecture runs on one kind of node (design 6.5), per GPU.
PERF = np.dtype(
    [
        ("weight_bytes", "f8"),
        ("kv_bytes_per_token", "f8"),
        ("layers", "f8"),
        ("att_prefill_const_s", "f8"),  # per step with any prefill
        ("att_prefill_s_per_pair", "f8"),  # times sum_i q_i * (ctx_i + q_i / 2)
        ("att_decode_const_s", "f8"),  # per step with any decode
        ("att_decode_s_per_seq", "f8"),
        ("att_decode_s_per_token", "f8"),  # times the KV tokens read
    ]
)

# Scalars of a scenario; one record, shape (1,).
PARAMS = np.dtype(
    [
        ("horizon_s", "f8"),  # arrivals stop here (evaluation) or the episode is truncated (training)
        ("drain_cap_s", "f8"),  # evaluation: absolute end of the drain; equals horizon_s in training
        ("max_num_seqs", "i8"),
        ("max_num_batched_tokens", "i8"),
        ("node_queue_limit", "i8"),
        ("mps", "i8"),  # 0 timeslice, 1 mps
        ("partitioned", "i8"),  # 0 elastic, 1 partitioned
        ("partitions", "i8"),
        ("prefix_caching", "i8"),
        ("kv_virtual_cap", "f8"),  # granted address space at most this times usable HBM
        ("margin_bytes", "f8"),  # per RUNNING engine
        ("sleep_bytes", "f8"),  # HBM kept by a SLEEPING engine
        ("growth_bytes", "f8"),  # one growth of a reservation
        ("growth_s", "f8"),  # its cost, added to the engine's next step
        ("rho_min", "f8"),
        ("rho_max", "f8"),
        ("rho_step", "f8"),  # weight of the newest under-estimation in the running mean
        ("share_decode", "f8"),  # busy shares, timeslice
        ("share_prefill", "f8"),
        ("mps_share_decode", "f8"),
        ("mps_prefill_exponent", "f8"),
        ("wake_base_s", "f8"),
        ("cpu_base_s", "f8"),
        ("cpu_s_per_byte", "f8"),
        ("cpu_s_per_layer", "f8"),
        ("warmup_s", "f8"),  # first request after a cold start
        ("first_sleep_factor", "f8"),  # the first demotion to SLEEPING takes this times a wake (pinning memory)
        ("api_s", "f8"),  # per call
        ("dispatch_s", "f8"),  # from admission to the engine, a place of the batch taken
        ("wait_max_s", "f8"),
        ("metrics_delay_s", "f8"),
        ("sample_period_s", "f8"),  # time series; 0 = none
    ]
)


class World(NamedTuple):
    """The fleet and its performance tables; one for all environments of a batch.

    Shapes: N nodes, H hosts, M models, C clusters, A architectures, G kinds of node.
    """

    nodes: np.ndarray  # NODE_SPEC (N,)
    hosts: np.ndarray  # HOST_SPEC (H,)
    models: np.ndarray  # MODEL_SPEC (M,)
    perf: np.ndarray  # PERF (G, A)
    step_s: np.ndarray  # float64 (G, A, max_num_batched_tokens + 1): part of a step that depends on its tokens
    sample_s: np.ndarray  # float64 (G, A, max_num_seqs + 1): part that depends on the sequences that sample
    latency_s: np.ndarray  # float64 (C, C), one way
    bytes_per_s: np.ndarray  # float64 (C, C)
    service: np.ndarray  # SERVICE (M,)
    params: np.ndarray  # PARAMS (1,)


# --- view: what a scheduler may read at the moment of a decision ------------------------------

# Where a live controller gets a field from: its own ``books``, a scraped ``metric``, an
# ``estimate``. Everything in the view is one of these (design 3).
CLOCK = np.dtype(
    [
        ("now_s", "f8"),
        ("tier", "i8"),  # of the pending decision
        ("place", "i8"),  # cluster of a cluster decision, node of a node decision, 0 for global
        ("stage", "i8"),  # the stage to route, -1 otherwise
        ("cluster", "i8"),  # the cluster to route it in, -1 otherwise
        ("global_len", "i8"),  # length of global_queue
        ("decisions", "i8"),  # decisions so far, of all tiers
        ("wait_legal", "i8"),  # whether the pending decision may be wait
        ("key", "i8"),  # for randomised rules; independent of the episode's draws
    ]
)

WORKFLOW_VIEW = np.dtype(
    [
        ("arrival_s", "f8"),  # inf until it has arrived
        ("deadline_s", "f8"),
        ("ttft_limit_s", "f8"),
        ("weight", "f8"),
        ("finished_s", "f8"),  # inf until it has
        ("attained_s", "f8"),  # service time received by its finished stages
        ("last_preempted_s", "f8"),  # when a later stage of it was last passed over at a boundary
        ("cls", "i4"),
        ("application", "i4"),
        ("tenant", "i4"),
        ("ingress_cluster", "i4"),
        ("stages_done", "i4"),
        ("last_node", "i4"),  # where its last finished stage ran, -1 = nowhere yet
    ]
)

STAGE_VIEW = np.dtype(
    [
        ("ready_s", "f8"),
        ("sent_s", "f8"),  # global decision
        ("queued_s", "f8"),  # arrival at its node
        ("admitted_s", "f8"),  # last admission
        ("first_token_s", "f8"),  # as the controller sees it: one-way latency included
        ("finished_s", "f8"),
        ("remaining_s_q50", "f8"),
        ("remaining_s_q90", "f8"),
        ("future_s_q50", "f8"),
        ("future_s_q90", "f8"),
        ("output_q50_tokens", "f8"),
        ("output_q90_tokens", "f8"),
        ("remaining_calls", "f8"),
        ("remaining_input_tokens", "f8"),
        ("remaining_output_tokens", "f8"),
        ("tool_probability", "f8"),
        ("workflow", "i4"),
        ("phase", "i4"),
        ("cls", "i4"),
        ("role", "i4"),
        ("model", "i4"),
        ("prompt_tokens", "i4"),
        ("max_output_tokens", "i4"),
        ("invocation_index", "i4"),
        ("depth", "i4"),
        ("tools_available", "i4"),
        ("sys_group", "i4"),
        ("sys_prefix_tokens", "i4"),
        ("ctx_group", "i4"),
        ("ctx_prefix_tokens", "i4"),
        ("cluster", "i4"),
        ("node", "i4"),
        ("generated_tokens", "i4"),  # streamed so far
        ("reserved_tokens", "i4"),  # private KV reservation, shared prefix not counted
        ("prefix_hit_tokens", "i4"),  # of the last admission
        ("preemptions", "i4"),  # pauses and recomputations
        ("growths", "i4"),
    ]
)

NODE_VIEW = np.dtype(
    [
        ("queue_len", "i8"),  # stages in its queue
        ("inbound", "i8"),  # sent to it, on the way
        ("running", "i8"),  # admitted sequences, all engines
        ("weights_bytes", "f8"),  # RUNNING and loading weights, margins, sleepers' residue
        ("kv_pool_bytes", "f8"),  # pool left for KV
        ("kv_reserved_bytes", "f8"),  # private reservations and pinned shared blocks
        ("kv_virtual_bytes", "f8"),
        ("kv_used_bytes", "f8"),  # metric: mapped blocks, cached ones included
        ("kv_cached_bytes", "f8"),  # unreferenced prefix blocks, which count as free
        ("queued_work_s", "f8"),  # estimate: nominal service time of its queue and inbound stages
        ("running_work_s", "f8"),  # estimate: nominal service time left of its admitted stages
        ("rho", "f8"),
    ]
)

# State of one engine slot of a node. A slot holds one model that is RUNNING, loading or SLEEPING.
ENGINE_FREE, ENGINE_LOADING, ENGINE_AWAKE, ENGINE_ASLEEP = range(4)

ENGINE_VIEW = np.dtype(
    [
        ("model", "i8"),  # -1 = free slot
        ("status", "i8"),  # ENGINE_*
        ("running", "i8"),  # admitted sequences
        ("ready_s", "f8"),  # estimate while loading: when it will serve
        ("last_used_s", "f8"),
        ("kv_pool_bytes", "f8"),  # partitioned mode: its own pool
        ("kv_reserved_bytes", "f8"),
        ("kv_pinned_bytes", "f8"),  # referenced prefix blocks (part of kv_reserved_bytes of the node)
        ("kv_cached_bytes", "f8"),  # unreferenced prefix blocks
        ("kv_used_bytes", "f8"),  # metric: mapped blocks
        ("slept_before", "i8"),
    ]
)

# What the controller's books say of a model on the whole fleet, so that no rule has to count.
MODEL_VIEW = np.dtype(
    [
        ("ready", "i8"),  # its stages in the global queue
        ("ready_sum_s", "f8"),  # sum of their ready_s
        ("waiting", "i8"),  # its stages sent to a node and not admitted
        ("warm_nodes", "i8"),  # nodes on which it is RUNNING or loading
    ]
)

HOST_MODEL = np.dtype([("tier", "i8"), ("last_used_s", "f8")])  # weights outside the GPUs: CPU, DISK or REMOTE

PREFIX = np.dtype(
    [
        ("tokens", "i8"),  # cached length from the first token on, whole blocks
        ("base_tokens", "i8"),  # leading tokens whose blocks the system-prompt entry owns
        ("base_entry", "i8"),  # that entry, -1 = none
        ("refs", "i8"),  # running stages that read it, directly or through an entry based on it
        ("dependents", "i8"),  # entries based on it
        ("last_used_s", "f8"),
    ]
)

# Atomic reclaim actions (design 6.2), offered to the reclaim rule with an estimate of their harm.
RECLAIM_TRIM, RECLAIM_SLEEP, RECLAIM_DEMOTE, RECLAIM_PAUSE = range(4)
RECLAIM_NAMES = ("trim", "sleep", "demote", "pause")

RECLAIM = np.dtype(
    [
        ("kind", "i8"),
        ("slot", "i8"),  # engine slot it acts on
        ("stage", "i8"),  # trimmed or paused stage, -1 otherwise
        ("freed_bytes", "f8"),
        ("delay_s", "f8"),  # until the memory is there
        ("harm_s", "f8"),  # estimated delay to others
        ("last_used_s", "f8"),
    ]
)


class View(NamedTuple):
    """What a rule, an encoder or a mask may read. E environments; other letters as in World.

    K engine slots a node, Q places in a node's queue, B = max_num_seqs, X prefix entries an
    engine, W and S the largest episode, R reclaim candidates.
    """

    clock: np.ndarray  # CLOCK (E,)
    workflows: np.ndarray  # WORKFLOW_VIEW (E, W)
    stages: np.ndarray  # STAGE_VIEW (E, S): a row is blank until its stage is ready
    nodes: np.ndarray  # NODE_VIEW (E, N)
    engines: np.ndarray  # ENGINE_VIEW (E, N, K)
    models: np.ndarray  # MODEL_VIEW (E, M)
    waiting: np.ndarray  # int64 (E, N, M): stages of a model sent to a node and not admitted
    slot_of: np.ndarray  # int64 (E, N, M): engine slot of a model on a node, -1 = none
    changed_s: np.ndarray  # float64 (E, N, M): when a node last changed a model's residency
    host_models: np.ndarray  # HOST_MODEL (E, H, M)
    global_queue: np.ndarray  # int32 (E, S): ready stages in order of readiness
    node_queue: np.ndarray  # int32 (E, N, Q): waiting stages in order of arrival at the node
    batch: np.ndarray  # int32 (E, N, K, B): admitted stages in order of admission
    prefixes: np.ndarray  # PREFIX (E, N, K, X)
    prefix_groups: np.ndarray  # int32 (E, N, K, X): group of each entry, -1 = free; apart, for it is searched most
    reclaim: np.ndarray  # RECLAIM (E, R): candidates of the pending reclaim
    reclaim_len: np.ndarray  # int64 (E,)
    memory: np.ndarray  # float64 (E, MEMORY): the policy's own notes, zero at the start of an episode
    model_memory: np.ndarray  # float64 (E, M): the same, one a model
    world: World


MEMORY = 128
"""Floats a policy may keep from decision to decision (round-robin counters and the like)."""


class Hidden(NamedTuple):
    """The truth that no scheduler but an oracle may read: static rows of the episode."""

    workflows: np.ndarray  # WORKFLOW (E, W)
    stages: np.ndarray  # STAGE (E, S)
    truth: np.ndarray  # STAGE_HIDDEN (E, S)
    predictions: np.ndarray  # PREDICTION (E, S): of stages that may not be ready yet
    children: np.ndarray  # int64 (E, edges)


# --- what the simulator keeps for itself ------------------------------------------------------

SEQUENCE = np.dtype(
    [
        ("computed_tokens", "i8"),  # KV tokens present, shared prefix included
        ("target_tokens", "i8"),  # tokens to prefill: prompt, and what was generated before a pause
        ("generated_tokens", "i8"),
        ("private_tokens", "i8"),  # reserved for itself, whole blocks
        ("hit_tokens", "i8"),  # shared blocks it reads, whole blocks
        ("ref_entry", "i8"),  # prefix entry it refers to, -1 = none
        ("virtual_bytes", "f8"),
        ("start_s", "f8"),  # not before: memory freed for it by a sleep must have arrived
        ("parents_left", "i8"),
        ("scheduled_tokens", "i8"),  # of the step under way
        ("passed_over", "i8"),  # 1 once a later stage of another workflow was sent before it
    ]
)

PHASE_IDLE, PHASE_DECODE, PHASE_PREFILL = range(3)

ENGINE_CORE = np.dtype(
    [
        ("event_s", "f8"),  # end of the stretch under way, inf = none
        ("begin_s", "f8"),  # after the overhead that its first step pays
        ("steps", "i8"),  # steps of the stretch (1 with prefill, 0 = only waiting for memory to arrive)
        ("base_s", "f8"),  # first step's time, slowdown included
        ("slope_s", "f8"),  # by which every further step is longer
        ("phase", "i8"),
        ("overhead_s", "f8"),  # owed by the next step: page mapping, warm-up
        ("factor", "f8"),  # slowdown by neighbours, frozen at the stretch's start
        ("seen_steps", "i8"),  # steps already shown in the view
        ("held_tokens", "i8"),  # private tokens of its whole batch at the beginning
        ("dirty", "i8"),  # must be planned before time goes on
        ("cold", "i8"),  # no request served since the start
        ("load_stage", "i8"),  # LOAD_*
        ("load_event_s", "f8"),  # end of that part of the load, inf = none
        ("load_bytes", "f8"),  # left to transfer in it
        ("load_rate", "f8"),
        ("load_updated_s", "f8"),
        ("load_from", "i8"),  # residency it started from
        ("load_delay_s", "f8"),
    ]
)

# Parts of a load, in order; the first for making room, three transfers, one of fixed length.
LOAD_NONE, LOAD_ROOM, LOAD_NIC, LOAD_NVME, LOAD_START, LOAD_PCIE = range(6)

NODE_CORE = np.dtype(
    [
        ("event_s", "f8"),  # earliest event of its engines
        ("due", "i8"),  # its rule must be asked
        ("wait_until_s", "f8"),
        ("dirty", "i8"),  # one of its engines is
    ]
)

ENV_CORE = np.dtype(
    [
        ("arrival_next", "i8"),  # first workflow not yet arrived
        ("num_workflows", "i8"),
        ("heap_len", "i8"),
        ("global_due", "i8"),
        ("global_wait_until_s", "f8"),
        ("done", "i8"),  # DONE_*
        ("events", "i8"),
        ("event_budget", "i8"),
        ("next_sample_s", "f8"),
        ("samples", "i8"),
        ("next_scrape_s", "f8"),
        ("integrated_s", "f8"),  # time up to which the integrals run
        ("kv_reserved_bytes", "f8"),  # totals over the fleet, whose integrals the counters hold
        ("kv_virtual_bytes", "f8"),
        ("kv_shared_bytes", "f8"),  # prefix blocks, pinned and cached
        ("weights_bytes", "f8"),
        ("evaluation", "i8"),  # 1: drain after the horizon, 0: truncate at it
    ]
)

DONE_NO, DONE_DRAINED, DONE_TIME, DONE_BUDGET = range(4)
DONE_NAMES = ("running", "drained", "time limit", "event budget")

# Integrals and counts of one environment, from the start of its episode.
COUNTERS = np.dtype(
    [
        ("arrived", "i8"),
        ("finished", "i8"),
        ("weight_in_system", "f8"),  # of workflows present
        ("weighted_residence", "f8"),  # integral of it: sum_w weight * residence
        ("slo_met_weight", "f8"),  # workflows that finished by their deadline
        ("slo_missed_weight", "f8"),
        ("ttft_met_weight", "f8"),  # interactive stages under their TTFT limit
        ("ttft_missed_weight", "f8"),
        ("stages_finished", "i8"),
        ("prompt_tokens", "i8"),
        ("cached_tokens", "i8"),  # of them served from the prefix cache
        ("output_tokens", "i8"),
        ("recomputed_tokens", "i8"),
        ("cold_starts", "i8"),  # loads from CPU, DISK or REMOTE
        ("wakes", "i8"),
        ("sleeps", "i8"),
        ("demotions", "i8"),  # to CPU or below
        ("preemptions", "i8"),  # running stages paused
        ("boundary_preemptions", "i8"),  # a workflow's next stage passed over for another workflow
        ("oom_events", "i8"),  # page map failures that forced a pause
        ("growths", "i8"),
        ("invalid_actions", "i8"),
        ("kv_reserved_byte_s", "f8"),
        ("kv_used_byte_s", "f8"),
        ("kv_virtual_byte_s", "f8"),
        ("weights_byte_s", "f8"),  # weights, margins and sleepers' residue in HBM
        ("busy_s", "f8"),  # engine time in steps without the neighbours' slowdown, summed over engines
    ]
)

SAMPLE = np.dtype(
    [
        ("time_s", "f8"),
        ("kv_reserved_bytes", "f8"),
        ("kv_used_bytes", "f8"),
        ("kv_virtual_bytes", "f8"),
        ("kv_pool_bytes", "f8"),
        ("weights_bytes", "f8"),
        ("ready", "i8"),  # stages in the global queue
        ("queued", "i8"),  # in node queues and on the way
        ("running", "i8"),
        ("workflows", "i8"),  # in the system
    ]
)

# One promotion or demotion, for the Gantt view and the logs.
RESIDENCY_EVENT = np.dtype([("time_s", "f8"), ("node", "i4"), ("model", "i4"), ("source", "i4"), ("target", "i4")])


class Core(NamedTuple):
    """The simulator's own books: event times, exact token counts, integrals."""

    env: np.ndarray  # ENV_CORE (E,)
    sequences: np.ndarray  # SEQUENCE (E, S)
    engines: np.ndarray  # ENGINE_CORE (E, N, K)
    nodes: np.ndarray  # NODE_CORE (E, N)
    workflows_left: np.ndarray  # int64 (E, W): stages not yet finished
    heap_s: np.ndarray  # float64 (E, S): timed stage events
    heap_stage: np.ndarray  # int64 (E, S)
    counters: np.ndarray  # COUNTERS (E,)
    samples: np.ndarray  # SAMPLE (E, T)
    residency_log: np.ndarray  # RESIDENCY_EVENT (E, L)
    residency_len: np.ndarray  # int64 (E,)


class State(NamedTuple):
    """Everything about a batch of environments.

    The first field cannot be called ``view``: numba takes that for numpy's method.
    """

    visible: View
    hidden: Hidden
    core: Core
