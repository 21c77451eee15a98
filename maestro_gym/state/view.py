"""The view: what a scheduler may read at the moment of a decision.

Fields are evaluated at the time of the decision, so that fast-forward leaves no trace in them. ``books`` are the
controller's own accounts, ``metric`` is scraped from servers, ``estimate`` is reckoned; a predicted field is closed to
rules of class N.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from maestro_gym.state.fields import BOOKS, ESTIMATE, INF, METRIC, Field, of, plain, record
from maestro_gym.state.world import World

NUMBERS = 72
"""Most numbers that a policy of a family may be given."""

PERCENTILES = 6
"""Numbers behind them: the percentiles of Maestro's fitness (`scheduling.fitness_scale`)."""

MEMORY = 128
"""Floats a policy may keep from decision to decision (round-robin counters and the like)."""

TENANT_MEMORY = 4
"""Floats that it may keep of each tenant."""

CLOCK = record(
    Field("now_s", "f8", "s", "simulated time of the decision", BOOKS),
    Field("tier", "i8", "code", "of the pending decision, TIER_*", BOOKS, blank=3),
    Field("place", "i8", "id", "cluster of a cluster decision, node of a node decision, 0 for global", BOOKS),
    Field("stage", "i8", "id", "the stage to route, -1 otherwise", BOOKS, blank=-1),
    Field("cluster", "i8", "id", "the cluster to route it in, -1 otherwise", BOOKS, blank=-1),
    Field("global_len", "i8", "stages", "length of global_queue", BOOKS),
    Field("decisions", "i8", "decisions", "so far, of all tiers", BOOKS),
    Field("wait_legal", "i8", "flag", "whether the pending decision may be to wait", BOOKS),
    Field("scaling", "i8", "flag", "whether nodes may be started and stopped at this moment", BOOKS),
    Field("nodes_on", "i8", "nodes", "ready, starting or failed: neither off nor draining", BOOKS),
    Field("links_down", "i8", "links", "between clusters, over which nothing passes now", BOOKS),
    Field("regrouping", "i8", "flag", "whether the pending node decision is on the degree of its board", BOOKS),
    Field("router", "i8", "id", "whose decision is pending: by its scrapes the nodes are known", BOOKS),
    Field("key", "i8", "key", "for randomised rules; independent of the episode's draws", BOOKS),
    Field("indexed", "i8", "flag", "whether sets of nodes and lists of ready stages are kept", BOOKS),
    Field("joined", "i8", "stages", "that joined the global queue so far", BOOKS),
    Field("blocks_used", "i8", "blocks", "of ready stages that were in use at some time", BOOKS),
    Field(
        "blocks_free", "i8", "id", "a block that is in use no longer, the others follow it, -1 = none", BOOKS, blank=-1
    ),
)

WORKFLOW_VIEW = record(
    Field("arrival_s", "f8", "s", "when it arrived, inf before", BOOKS, blank=INF),
    Field("deadline_s", "f8", "s", "when it must be finished", BOOKS),
    Field("ttft_limit_s", "f8", "s", "limit for the first token of an interactive stage", BOOKS),
    Field("weight", "f8", "1", "in the reward", BOOKS),
    Field("finished_s", "f8", "s", "when it finished, inf before", BOOKS, blank=INF),
    Field("attained_s", "f8", "s", "service time received by its finished stages", BOOKS),
    Field(
        "last_preempted_s", "f8", "s", "when a later stage of it was last passed over at a boundary", BOOKS, blank=-INF
    ),
    Field("begun_s", "f8", "s", "when its first stage was sent, inf before", BOOKS, blank=INF),
    Field("rejected_s", "f8", "s", "when it was turned away, inf where it was not", BOOKS, blank=INF),
    Field("cls", "i4", "code", "INTERACTIVE or BATCH", BOOKS),
    Field("application", "i4", "id", "index into the workload's applications", BOOKS),
    Field("tenant", "i4", "id", "who asked", BOOKS),
    Field("ingress_cluster", "i4", "id", "cluster through which it entered", BOOKS),
    Field("stages_done", "i4", "stages", "that have finished", BOOKS),
    Field("last_node", "i4", "id", "where its last finished stage ran, -1 = nowhere yet", BOOKS, blank=-1),
)

STAGE_VIEW = record(
    Field("ready_s", "f8", "s", "when it became ready", BOOKS, blank=INF),
    Field("sent_s", "f8", "s", "when the global tier sent it", BOOKS, blank=INF),
    Field("queued_s", "f8", "s", "when it arrived at its node", BOOKS, blank=INF),
    Field("admitted_s", "f8", "s", "last admission", BOOKS, blank=INF),
    Field("first_token_s", "f8", "s", "as the controller sees it: one-way latency included", BOOKS, blank=INF),
    Field("finished_s", "f8", "s", "when its last token was there", BOOKS, blank=INF),
    Field("tool_started_s", "f8", "s", "when its call got a place of its tool, if it had to ask", BOOKS, blank=INF),
    Field("remaining_s_q50", "f8", "s", "T_rem of the workflow, median", ESTIMATE, predicted=True),
    Field("remaining_s_q90", "f8", "s", "T_rem of the workflow, 90th percentile", ESTIMATE, predicted=True),
    Field("future_s_q50", "f8", "s", "T_future, median", ESTIMATE, predicted=True),
    Field("future_s_q90", "f8", "s", "T_future, 90th percentile", ESTIMATE, predicted=True),
    Field("output_q50_tokens", "f8", "tokens", "output, median", ESTIMATE, predicted=True),
    Field("output_q90_tokens", "f8", "tokens", "output, 90th percentile", ESTIMATE, predicted=True),
    Field("remaining_calls", "f8", "stages", "that will follow", ESTIMATE, predicted=True),
    Field("remaining_input_tokens", "f8", "tokens", "prompts of later stages", ESTIMATE, predicted=True),
    Field("remaining_output_tokens", "f8", "tokens", "outputs of later stages", ESTIMATE, predicted=True),
    Field("tool_probability", "f8", "1", "that it calls a tool", ESTIMATE, predicted=True),
    Field("workflow", "i4", "id", "its workflow, -1 until it is ready", BOOKS, blank=-1),
    Field("phase", "i4", "code", "STAGE_*", BOOKS),
    Field("cls", "i4", "code", "INTERACTIVE or BATCH", BOOKS),
    Field("role", "i4", "id", "index into Workload.role_names", BOOKS),
    Field("model", "i4", "id", "deployment that it asks for", BOOKS),
    Field("prompt_tokens", "i4", "tokens", "prompt length", BOOKS),
    Field("max_output_tokens", "i4", "tokens", "the client's limit", BOOKS),
    Field("invocation_index", "i4", "calls", "of its role before in the workflow", BOOKS),
    Field("depth", "i4", "stages", "longest path from a root of the workflow", BOOKS),
    Field("tools_available", "i4", "flag", "whether the call may use tools", BOOKS),
    Field("sys_group", "i4", "id", "prefix group of its system prompt, -1 = none", BOOKS, blank=-1),
    Field("sys_prefix_tokens", "i4", "tokens", "of its prompt that the group shares", BOOKS),
    Field("ctx_group", "i4", "id", "prefix group of its workflow's context, -1 = none", BOOKS, blank=-1),
    Field("ctx_prefix_tokens", "i4", "tokens", "of its prompt that the group shares", BOOKS),
    Field("cluster", "i4", "id", "where it was sent, -1 before", BOOKS, blank=-1),
    Field("node", "i4", "id", "where it was sent, -1 before", BOOKS, blank=-1),
    Field("generated_tokens", "i4", "tokens", "streamed so far", BOOKS),
    Field("reserved_tokens", "i4", "tokens", "private KV reservation, shared prefix not counted", BOOKS),
    Field("prefix_hit_tokens", "i4", "tokens", "served from the prefix cache at its last admission", ESTIMATE),
    Field("preemptions", "i4", "pauses", "after which it was computed again", BOOKS),
    Field("growths", "i4", "growths", "of its reservation", BOOKS),
    Field("tool", "i4", "id", "type of the tools that its role calls, -1 = one without bounds", BOOKS, blank=-1),
    Field("restarts", "i4", "restarts", "from nothing, after the node on which it ran was lost", BOOKS),
    Field("kv_tokens", "i4", "tokens", "computed by a node that handed it over, until another admits it", BOOKS),
    Field("prefill_admitted_s", "f8", "s", "admission on the node that handed it over, inf = none", BOOKS, blank=INF),
    Field("handed_over_s", "f8", "s", "when that node had its first token, inf = none did", BOOKS, blank=INF),
)

NODE_VIEW = record(
    Field("queue_len", "i8", "stages", "in its queue", BOOKS),
    Field("inbound", "i8", "stages", "sent to it, on the way", BOOKS),
    Field("running", "i8", "stages", "admitted, on all engines", BOOKS),
    Field("weights_bytes", "f8", "bytes", "RUNNING and loading weights, margins, residue of sleepers", BOOKS),
    Field("kv_pool_bytes", "f8", "bytes", "pool left for KV", BOOKS),
    Field("kv_reserved_bytes", "f8", "bytes", "private reservations and pinned shared blocks", BOOKS),
    Field("kv_virtual_bytes", "f8", "bytes", "address space granted", BOOKS),
    Field("kv_used_bytes", "f8", "bytes", "mapped blocks, cached ones included", METRIC),
    Field("kv_cached_bytes", "f8", "bytes", "unreferenced prefix blocks, which count as free", ESTIMATE),
    Field("queued_work_s", "f8", "s", "nominal service time of queued and inbound stages", ESTIMATE, predicted=True),
    Field("running_work_s", "f8", "s", "nominal service time left of admitted stages", ESTIMATE, predicted=True),
    Field("rho", "f8", "1", "margin of adaptive reservations", BOOKS),
    Field("node_state", "i8", "code", "NODE_*", BOOKS),
    Field("state_since_s", "f8", "s", "when it came into that state", BOOKS),
    Field("started_s", "f8", "s", "while starting: when it will be ready", BOOKS, blank=INF),
)

# What a router knows of a node where signals are scraped; blank where they are fresh (`load_signals`).
SIGNALS_VIEW = record(
    Field("queue_len", "i8", "stages", "in its queue, at the scrape", BOOKS),
    Field("inbound", "i8", "stages", "sent to it, on the way", BOOKS),
    Field("queued_work_s", "f8", "s", "nominal service time of queued and inbound stages", ESTIMATE, predicted=True),
    Field("running", "i8", "stages", "admitted, on all engines", BOOKS),
    Field("running_work_s", "f8", "s", "nominal service time left of admitted stages", ESTIMATE, predicted=True),
    Field("kv_used_bytes", "f8", "bytes", "mapped blocks, cached ones included", BOOKS),
    Field("kv_cached_bytes", "f8", "bytes", "unreferenced prefix blocks, which count as free", BOOKS),
)

ENGINE_VIEW = record(
    Field("model", "i8", "id", "that the slot holds, -1 = free slot", BOOKS, blank=-1),
    Field("status", "i8", "code", "ENGINE_*", BOOKS),
    Field("running", "i8", "stages", "admitted", BOOKS),
    Field("ready_s", "f8", "s", "while loading: when it will serve", ESTIMATE),
    Field("last_used_s", "f8", "s", "last admission or completion", BOOKS),
    Field("kv_pool_bytes", "f8", "bytes", "partitioned mode: its own pool", BOOKS),
    Field("kv_reserved_bytes", "f8", "bytes", "private reservations and pinned shared blocks", BOOKS),
    Field("kv_pinned_bytes", "f8", "bytes", "referenced prefix blocks, a part of the node's reservation", ESTIMATE),
    Field("kv_cached_bytes", "f8", "bytes", "unreferenced prefix blocks", ESTIMATE),
    Field("kv_used_bytes", "f8", "bytes", "mapped blocks", METRIC),
    Field("slept_before", "i8", "flag", "whether its memory is pinned already", BOOKS),
)

# Sums over the whole fleet, so that no rule has to count.
MODEL_VIEW = record(
    Field("ready", "i8", "stages", "its stages in the global queue", BOOKS),
    Field("ready_sum_s", "f8", "s", "sum of their ready_s", BOOKS),
    Field("returned", "i8", "stages", "of those in the global queue, had been admitted and paused before", BOOKS),
    # Below: of nodes that take calls from the global queue, which nodes that only decode do not.
    Field("waiting", "i8", "stages", "its stages sent to a node and not admitted", BOOKS),
    Field("warm_nodes", "i8", "nodes", "on which it is RUNNING or loading", BOOKS),
    Field("open_nodes", "i8", "nodes", "of these, those whose queue has a free place", BOOKS),
    Field("asleep_nodes", "i8", "nodes", "on which it is SLEEPING", BOOKS),
    Field("soonest_s", "f8", "s", "least time to start it where it is not SLEEPING, as its weights lie now", ESTIMATE),
)

# Sums over all clients of a tenant, for rules of fairness.
TENANT_VIEW = record(
    Field("ready", "i8", "stages", "its stages in the global queue", BOOKS),
    Field("prompt_tokens", "f8", "tokens", "prompts of its stages, counted at their first admission", BOOKS),
    Field("cached_tokens", "f8", "tokens", "of these, served from a prefix cache then", ESTIMATE),
    Field("output_tokens", "f8", "tokens", "answers to it that have arrived", BOOKS),
    Field("admitted", "i8", "stages", "that were admitted, each once", BOOKS),
    Field("answered", "i8", "stages", "of these, whose answer has arrived", BOOKS),
)

# A type of tools with finite places, and who waits for one of them.
TOOL_VIEW = record(
    Field("busy", "i8", "places", "that a call occupies", BOOKS),
    Field("queued", "i8", "stages", "that wait for a place", BOOKS),
    Field("first", "i4", "id", "of them, that asked first, -1 = none; `tool_next` has the others", BOOKS, blank=-1),
    Field("last", "i4", "id", "of them, that asked last, -1 = none", BOOKS, blank=-1),
)

# At most ``scheduling.blocks.MEMBERS`` stages that follow one another.
BLOCK = record(
    Field("version", "i8", "changes", "after which what was noted of it is no bound any more", BOOKS),
    Field("first", "i4", "id", "its first stage", BOOKS),
    Field("members", "i4", "stages", "in it", BOOKS),
    Field("previous", "i4", "id", "the block before of the same model, -1 = none", BOOKS, blank=-1),
    Field("next", "i4", "id", "the block after, -1 = none", BOOKS, blank=-1),
)

# What an order has noted of a block: notes of the policy, like its memory.
BLOCK_NOTE = record(
    Field("least_key", "f8", "key", "of those in the least band, less what time has added", BOOKS),
    Field("until_s", "f8", "s", "how long that is a bound", BOOKS),
    Field("pressing_s", "f8", "s", "from when one of its stages may be pressing", BOOKS),
    Field("version", "i8", "changes", "of the block when it was noted", BOOKS),
    Field("order", "i8", "id", "of the order that noted it, 0 = nothing is noted", BOOKS),
    Field("least_band", "i8", "band", "of its stages", BOOKS),
)

HOST_MODEL = record(
    Field("tier", "i8", "code", "of the weights outside the GPUs: CPU, DISK or REMOTE", ESTIMATE),
    Field("last_used_s", "f8", "s", "last admission on the host", BOOKS),
)

PREFIX = record(
    Field("tokens", "i8", "tokens", "cached length from the first token on, whole blocks", ESTIMATE),
    Field("base_tokens", "i8", "tokens", "leading ones whose blocks the system-prompt entry owns", ESTIMATE),
    Field("base_entry", "i8", "index", "of that entry, -1 = none", ESTIMATE, blank=-1),
    Field("refs", "i8", "stages", "running ones that read it, directly or through an entry based on it", ESTIMATE),
    Field("dependents", "i8", "entries", "based on it", ESTIMATE),
    Field("last_used_s", "f8", "s", "last hit or extension", ESTIMATE),
    Field("held_until_s", "f8", "s", "until when a node rule holds it, -inf = nobody does", BOOKS, blank=-INF),
    Field("dram_tokens", "i8", "tokens", "of a held one that lies in the memory of its host", BOOKS),
)

RECLAIM = record(
    Field("kind", "i8", "code", "RECLAIM_*", BOOKS),
    Field("slot", "i8", "index", "engine slot it acts on", BOOKS),
    Field("stage", "i8", "id", "trimmed or paused stage, -1 otherwise", BOOKS),
    Field("freed_bytes", "f8", "bytes", "that it frees", ESTIMATE),
    Field("delay_s", "f8", "s", "until the memory is there", ESTIMATE),
    Field("harm_s", "f8", "s", "estimated delay to others", ESTIMATE, predicted=True),
    Field("last_used_s", "f8", "s", "of the engine it acts on", BOOKS),
)


class View(NamedTuple):
    """What a rule, an encoder or a mask may read.

    Axes: E environments, W workflows and S stages of the largest episode, N nodes, H hosts, M models, K engine slots
    of a node, Q places in a node's queue, B sequences of a batch, X prefix entries of an engine, R reclaim candidates,
    P notes, U numbers, C clusters, A architectures, Y cells of a calendar (`core.calendar`), Z words of a set
    (`core.bits`), V cells for a scan, O tenants (owners), I notes for each of them, t types of tools
    with finite places, g routers (gateways).
    """

    clock: Annotated[np.ndarray, of("E", CLOCK)]
    workflows: Annotated[np.ndarray, of("EW", WORKFLOW_VIEW)]
    stages: Annotated[np.ndarray, of("ES", STAGE_VIEW)]  # a row is blank until its stage is ready
    nodes: Annotated[np.ndarray, of("EN", NODE_VIEW)]
    engines: Annotated[np.ndarray, of("ENK", ENGINE_VIEW)]
    scraped: Annotated[np.ndarray, of("EgN", SIGNALS_VIEW)]
    scraped_status: Annotated[
        np.ndarray, plain("EgNM", "i8", "code", "ENGINE_* of a model as last scraped, FREE = in no slot", source=BOOKS)
    ]
    models: Annotated[np.ndarray, of("EM", MODEL_VIEW)]
    tenants: Annotated[np.ndarray, of("EO", TENANT_VIEW)]
    tools: Annotated[np.ndarray, of("Et", TOOL_VIEW)]
    tool_next: Annotated[
        np.ndarray, plain("ES", "i4", "id", "who asked next for a place of the same tool", source=BOOKS, blank=-1)
    ]
    waiting: Annotated[np.ndarray, plain("ENM", "i8", "stages", "sent to a node and not admitted", source=BOOKS)]
    slot_of: Annotated[
        np.ndarray, plain("ENM", "i8", "index", "engine slot of a model, -1 = none", source=BOOKS, blank=-1)
    ]
    changed_s: Annotated[
        np.ndarray, plain("ENM", "f8", "s", "when a model's residency last changed", source=BOOKS, blank=-INF)
    ]
    host_models: Annotated[np.ndarray, of("EHM", HOST_MODEL)]
    link_down: Annotated[
        np.ndarray, plain("ECC", "i8", "flag", "whether nothing passes between two clusters now", source=BOOKS)
    ]
    global_queue: Annotated[np.ndarray, plain("ES", "i4", "id", "ready stages in order of readiness", source=BOOKS)]
    ready_rank: Annotated[np.ndarray, plain("ES", "i4", "rank", "ascending along global_queue", source=BOOKS)]
    ready_next: Annotated[
        np.ndarray, plain("ES", "i4", "id", "the next ready stage of the same model, -1 = none", source=BOOKS, blank=-1)
    ]
    ready_previous: Annotated[np.ndarray, plain("ES", "i4", "id", "the one before, -1 = none", source=BOOKS, blank=-1)]
    ready_first: Annotated[
        np.ndarray,
        plain("EM", "i4", "id", "a model's first ready stage, -1 = none", source=BOOKS, blank=-1),
    ]
    ready_last: Annotated[np.ndarray, plain("EM", "i4", "id", "its last one, -1 = none", source=BOOKS, blank=-1)]
    ready_block: Annotated[np.ndarray, plain("ES", "i4", "id", "block of a ready stage", source=BOOKS)]
    blocks: Annotated[np.ndarray, of("ES", BLOCK)]
    block_notes: Annotated[np.ndarray, of("ES", BLOCK_NOTE)]
    members: Annotated[np.ndarray, plain("ECZ", "i8", "set", "nodes of a cluster", source=BOOKS)]
    roomy: Annotated[np.ndarray, plain("EZ", "i8", "set", "nodes whose queue has a free place", source=BOOKS)]
    warm: Annotated[np.ndarray, plain("EMZ", "i8", "set", "nodes where a model is RUNNING or loading", source=BOOKS)]
    welcoming: Annotated[
        np.ndarray, plain("EZ", "i8", "set", "nodes that may take a stage of a model that is not there", source=BOOKS)
    ]
    asleep: Annotated[np.ndarray, plain("EMZ", "i8", "set", "nodes where a model is SLEEPING", source=BOOKS)]
    spare_since_s: Annotated[
        np.ndarray,
        plain("EAY", "f8", "s", "calendar: since when memory for a start is idle", source=BOOKS, blank=INF),
    ]
    node_queue: Annotated[np.ndarray, plain("ENQ", "i4", "id", "waiting stages in order of arrival", source=BOOKS)]
    batch: Annotated[np.ndarray, plain("ENKB", "i4", "id", "admitted stages in order of admission", source=BOOKS)]
    prefixes: Annotated[np.ndarray, of("ENKX", PREFIX)]
    prefix_groups: Annotated[  # apart from the records, for it is searched most
        np.ndarray, plain("ENKX", "i4", "id", "prefix group of each entry, -1 = free", source=ESTIMATE, blank=-1)
    ]
    reclaim: Annotated[np.ndarray, of("ER", RECLAIM)]
    reclaim_len: Annotated[np.ndarray, plain("E", "i8", "candidates", "of the pending reclaim", source=BOOKS)]
    memory: Annotated[np.ndarray, plain("EP", "f8", "notes", "the policy's own, zero at the start", source=BOOKS)]
    model_memory: Annotated[np.ndarray, plain("EM", "f8", "notes", "the same, one for each model", source=BOOKS)]
    tenant_memory: Annotated[np.ndarray, plain("EOI", "f8", "notes", "the same, some for each tenant", source=BOOKS)]
    scratch: Annotated[np.ndarray, plain("EV", "i4", "cells", "of one scan, without meaning after it", source=BOOKS)]
    numbers: Annotated[np.ndarray, plain("EU", "f8", "numbers", "the policy's, given from outside", source=BOOKS)]
    world: World
