"""What the simulator keeps for itself: event times, exact token counts, integrals. No scheduler reads it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from maestro_gym.state.episode import Hidden
from maestro_gym.state.fields import INF, Field, of, plain, record
from maestro_gym.state.view import View

SEQUENCE = record(
    Field("computed_tokens", "i8", "tokens", "KV present, shared prefix included"),
    Field("target_tokens", "i8", "tokens", "to prefill: prompt, and what was generated before a pause"),
    Field("generated_tokens", "i8", "tokens", "of the answer so far"),
    Field("private_tokens", "i8", "tokens", "reserved for itself, whole blocks"),
    Field("hit_tokens", "i8", "tokens", "of shared blocks that it reads, whole blocks"),
    Field("begun_tokens", "i8", "tokens", "that it had when it was admitted: shared, or copied back from the host"),
    Field("ref_entry", "i8", "index", "prefix entry it refers to, -1 = none", blank=-1),
    Field("virtual_bytes", "f8", "bytes", "address space granted to it"),
    Field("start_s", "f8", "s", "not before: memory freed for it by a sleep must have arrived"),
    Field("joining", "i8", "flag", "1 until its engine schedules a step after its admission"),
    Field("parents_left", "i8", "stages", "not yet delivered"),
    Field("scheduled_tokens", "i8", "tokens", "of the step under way"),
    Field("passed_over", "i8", "flag", "1 once a later stage of another workflow was sent before it"),
    Field("first_token_s", "f8", "s", "when its first token will be seen that a link holds up, inf = none", blank=INF),
)

ENGINE_CORE = record(
    Field("event_s", "f8", "s", "end of the stretch under way, inf = none", blank=INF),
    Field("begin_s", "f8", "s", "of the stretch, after the overhead that its first step pays"),
    Field("steps", "i8", "steps", "of the stretch (1 with prefill, 0 = only waiting for memory to arrive)"),
    Field("base_s", "f8", "s", "first step's time, slowdown included"),
    Field("slope_s", "f8", "s", "by which every further step is longer"),
    Field("phase", "i8", "code", "PHASE_*"),
    Field("overhead_s", "f8", "s", "owed by the next step: page mapping, warm-up"),
    Field("factor", "f8", "1", "slowdown by neighbours, frozen at the start of the stretch", blank=1),
    Field("seen_steps", "i8", "steps", "already shown in the view"),
    Field("held_tokens", "i8", "tokens", "private ones of its whole batch at the beginning"),
    Field("mapped_steps", "i8", "steps", "of the stretch, for which mapped_tokens was reckoned; -1: the batch changed"),
    Field("mapped_tokens", "i8", "tokens", "of its batch's own blocks after so many steps"),
    Field("dirty", "i8", "flag", "must be planned before time goes on"),
    Field("cold", "i8", "flag", "no request served since the start"),
    Field("held_until_s", "f8", "s", "when the first of its held contexts is let go, inf = none is held", blank=INF),
    Field("load_stage", "i8", "code", "LOAD_*"),
    Field("load_event_s", "f8", "s", "end of that part of the load, inf = none", blank=INF),
    Field("load_bytes", "f8", "bytes", "left to transfer in it"),
    Field("load_rate", "f8", "bytes/s", "at which they move now"),
    Field("load_updated_s", "f8", "s", "time up to which load_bytes is right"),
    Field("load_from", "i8", "code", "residency it started from"),
    Field("load_delay_s", "f8", "s", "until room is made for it"),
)

ENV_CORE = record(
    Field("arrival_next", "i8", "id", "first workflow not yet arrived"),
    Field("num_workflows", "i8", "workflows", "of the episode"),
    Field("heap_len", "i8", "events", "in the heap"),
    Field("global_due", "i8", "flag", "the global rule must be asked"),
    Field("global_wait_until_s", "f8", "s", "when it is asked again", blank=INF),
    Field("tools_due", "i8", "flag", "a call asked for a place of its tool, or gave one back"),
    Field("orders_tools", "i8", "flag", "the global rule says which call gets a place; 0: the first that asked"),
    Field("decides_contexts", "i8", "flag", "the node rule says what becomes of a context while its tool runs"),
    Field("context_first", "i8", "id", "first of the stages whose context that is to be said of, -1 = none", blank=-1),
    Field("context_last", "i8", "id", "last of them, -1 = none", blank=-1),
    Field("chooses_degree", "i8", "flag", "the node rule chooses the degree of boards; 0: they stay as they are"),
    Field("done", "i8", "code", "DONE_*"),
    Field("events", "i8", "events", "since the last decision"),
    Field("begun_first", "i8", "id", "first of the ready stages that can be passed over, -1 = none", blank=-1),
    Field("begun_last", "i8", "id", "last of them, -1 = none", blank=-1),
    Field("metric_tiers", "i8", "set", "tiers whose decisions look at metric fields"),
    Field("event_budget", "i8", "events", "between two decisions"),
    Field("next_sample_s", "f8", "s", "of the time series"),
    Field("samples", "i8", "rows", "written"),
    Field("next_scrape_s", "f8", "s", "when metric fields are refreshed"),
    Field("next_signal_s", "f8", "s", "when the next kind of signals is scraped or known", blank=INF),
    Field("num_outages", "i8", "rows", "of outages, beginnings and ends"),
    Field("outage_next", "i8", "index", "of the first of them that is to come"),
    Field("next_scale_s", "f8", "s", "when nodes may be started and stopped next", blank=INF),
    Field("next_start_s", "f8", "s", "when the next starting node is ready, inf = none starts", blank=INF),
    Field("next_regroup_s", "f8", "s", "when GPUs may be regrouped next", blank=INF),
    Field("draining", "i8", "nodes", "that drain"),
    Field("handoffs", "i8", "stages", "that wait for a node that decodes"),
    Field("integrated_s", "f8", "s", "time up to which the integrals run"),
    Field("kv_reserved_bytes", "f8", "bytes", "total of the fleet, whose integral the counters hold"),
    Field("kv_virtual_bytes", "f8", "bytes", "total of the fleet"),
    Field("kv_shared_bytes", "f8", "bytes", "prefix blocks of the fleet, pinned and cached"),
    Field("weights_bytes", "f8", "bytes", "total of the fleet"),
    Field("evaluation", "i8", "flag", "1: drain after the horizon, 0: truncate at it"),
)

NODE_CORE = record(
    Field("outages", "i8", "outages", "that it is in: its own, and that of its host"),
    Field("busy_s", "f8", "s", "engines' time in steps without the slowdown by neighbours, summed"),
    Field("handoffs", "i8", "stages", "that it prefilled and that wait for a node that decodes"),
)

BOARD_CORE = record(
    Field("due", "i8", "flag", "the node rule must be asked for its degree"),
    Field("next_gpus", "i8", "GPUs", "degree that it is changing to, 0 = none"),
)

# A scrape of a node that is on its way to the routers: what `state.view.SIGNALS_VIEW` will hold, each kind for itself.
SCRAPE = record(
    Field("running", "i8", "stages", "admitted"),
    Field("running_work_s", "f8", "s", "nominal service time left of admitted stages"),
    Field("kv_used_bytes", "f8", "bytes", "mapped blocks, cached ones included"),
    Field("kv_cached_bytes", "f8", "bytes", "unreferenced prefix blocks"),
    Field("queue_len", "i8", "stages", "in its queue"),
    Field("inbound", "i8", "stages", "sent to it, on the way"),
    Field("queued_work_s", "f8", "s", "nominal service time of queued and inbound stages"),
)

# Integrals and counts of one environment, from the start of its episode.
COUNTERS = record(
    Field("events", "i8", "events", "handled: what ends or arrives, and outages and starts of nodes"),
    Field("arrived", "i8", "workflows", "that arrived"),
    Field("finished", "i8", "workflows", "that finished"),
    Field("rejected", "i8", "workflows", "that were turned away"),
    Field("weight_in_system", "f8", "1", "of workflows present"),
    Field(
        "weighted_residence",
        "f8",
        "s",
        "integral of it: sum_w weight * residence; a rejected workflow counts as if it stayed until its deadline",
    ),
    Field("slo_met_weight", "f8", "1", "workflows that finished by their deadline"),
    Field("slo_missed_weight", "f8", "1", "workflows that finished later, or were turned away"),
    Field("ttft_met_weight", "f8", "1", "interactive stages under their TTFT limit"),
    Field("ttft_missed_weight", "f8", "1", "interactive stages above it"),
    Field("stages_finished", "i8", "stages", "that finished"),
    Field("prompt_tokens", "i8", "tokens", "of admitted stages"),
    Field("cached_tokens", "i8", "tokens", "of them served from the prefix cache"),
    Field("output_tokens", "i8", "tokens", "of finished stages"),
    Field("recomputed_tokens", "i8", "tokens", "thrown away by pauses"),
    Field("cold_starts", "i8", "loads", "from CPU, DISK or REMOTE"),
    Field("wakes", "i8", "loads", "from SLEEPING"),
    Field("sleeps", "i8", "demotions", "to SLEEPING"),
    Field("demotions", "i8", "demotions", "to CPU or below"),
    Field("preemptions", "i8", "pauses", "of running stages"),
    Field("boundary_preemptions", "i8", "stages", "of a begun workflow passed over for another workflow"),
    Field("oom_events", "i8", "failures", "of page maps that forced a pause"),
    Field("growths", "i8", "growths", "of reservations"),
    Field("invalid_actions", "i8", "actions", "that were illegal and replaced"),
    Field("node_failures", "i8", "nodes", "that served or started and were lost"),
    Field("restarts", "i8", "stages", "that ran on a node that was lost, and begin from nothing"),
    Field("wasted_tokens", "i8", "tokens", "prefilled and generated by these and lost, cached prompts not counted"),
    Field("resent", "i8", "messages", "prompts and answers that were sent anew when a link was repaired"),
    Field("node_starts", "i8", "nodes", "that were started, or called back while they drained"),
    Field("node_stops", "i8", "nodes", "that were told to stop"),
    Field("transfers", "i8", "stages", "whose KV went from the node that prefilled them to another"),
    Field("transfer_bytes", "f8", "bytes", "of KV that went so, of all GPUs"),
    Field("transfer_s", "f8", "s", "that it was on its way, summed"),
    Field("regroups", "i8", "boards", "whose GPUs were told to form groups of another size"),
    Field("kv_reserved_byte_s", "f8", "byte s", "integral of reserved KV"),
    Field("kv_used_byte_s", "f8", "byte s", "integral of mapped KV"),
    Field("kv_virtual_byte_s", "f8", "byte s", "integral of granted address space"),
    Field("weights_byte_s", "f8", "byte s", "integral of weights, margins and sleepers' residue in HBM"),
    Field("busy_s", "f8", "s", "engines' time in steps without the slowdown by neighbours, summed"),
    Field("kv_reserved_peak_bytes", "f8", "bytes", "most that was reserved at a time"),
    Field("kv_virtual_peak_bytes", "f8", "bytes", "most address space that was granted at a time"),
)

SAMPLE = record(
    Field("time_s", "f8", "s", "of the sample"),
    Field("kv_reserved_bytes", "f8", "bytes", "of the fleet"),
    Field("kv_used_bytes", "f8", "bytes", "of the fleet"),
    Field("kv_virtual_bytes", "f8", "bytes", "of the fleet"),
    Field("kv_pool_bytes", "f8", "bytes", "of the fleet"),
    Field("weights_bytes", "f8", "bytes", "of the fleet"),
    Field("ready", "i8", "stages", "in the global queue"),
    Field("queued", "i8", "stages", "in node queues and on the way"),
    Field("running", "i8", "stages", "admitted"),
    Field("workflows", "i8", "workflows", "in the system"),
)

NODE_SAMPLE = record(
    Field("kv_used_bytes", "f4", "bytes", "of the node, mapped"),
    Field("kv_reserved_bytes", "f4", "bytes", "of the node"),
    Field("kv_pool_bytes", "f4", "bytes", "of the node"),
    Field("queued", "i4", "stages", "in its queue and on the way to it"),
    Field("running", "i4", "stages", "admitted"),
)

# One promotion or demotion, for the Gantt view and the logs.
RESIDENCY_EVENT = record(
    Field("time_s", "f8", "s", "of the change"),
    Field("node", "i4", "id", "where"),
    Field("model", "i4", "id", "which"),
    Field("source", "i4", "code", "residency before"),
    Field("target", "i4", "code", "residency after"),
)


class Core(NamedTuple):
    """The simulator's own accounts.

    Axes as in `View`; T rows of the time series, D of them that single nodes have, L of the residency log,
    F residencies outside the GPUs, s states of a node, b boards.
    """

    env: Annotated[np.ndarray, of("E", ENV_CORE)]
    sequences: Annotated[np.ndarray, of("ES", SEQUENCE)]
    engines: Annotated[np.ndarray, of("ENK", ENGINE_CORE)]
    events_s: Annotated[np.ndarray, plain("EY", "f8", "s", "calendar: earliest event of a node's engines", blank=INF)]
    waits_s: Annotated[np.ndarray, plain("EY", "f8", "s", "calendar: when a node's rule is asked again", blank=INF)]
    due: Annotated[np.ndarray, plain("EY", "f8", "flag", "calendar: a node's rule must be asked", blank=INF)]
    dirty: Annotated[np.ndarray, plain("EY", "f8", "flag", "calendar: one of a node's engines is", blank=INF)]
    workflows_left: Annotated[np.ndarray, plain("EW", "i8", "stages", "not yet finished")]
    heap_s: Annotated[np.ndarray, plain("ES", "f8", "s", "timed stage events")]
    heap_stage: Annotated[np.ndarray, plain("ES", "i8", "id", "their stages")]
    handoffs: Annotated[np.ndarray, plain("ES", "i4", "id", "stages that wait for a node that decodes, in order")]
    load_floor_s: Annotated[np.ndarray, plain("EMF", "f8", "s", "least time of a load from each residency")]
    tier_hosts: Annotated[np.ndarray, plain("EMF", "i8", "hosts", "whose weights of a model are there")]
    host_nodes: Annotated[np.ndarray, plain("EHZ", "i8", "set", "nodes of a host")]
    host_kv_bytes: Annotated[np.ndarray, plain("EH", "f8", "bytes", "of contexts that lie in a host's memory")]
    stale: Annotated[np.ndarray, plain("EZ", "i8", "set", "nodes whose membership in sets must be looked up again")]
    metrics_until_s: Annotated[
        np.ndarray, plain("EN", "f8", "s", "until when the metric fields of a node stay as they are", blank=-INF)
    ]
    begun_next: Annotated[np.ndarray, plain("ES", "i4", "id", "list of ready stages that can be passed over", blank=-1)]
    begun_previous: Annotated[np.ndarray, plain("ES", "i4", "id", "the same, backwards", blank=-1)]
    context_next: Annotated[
        np.ndarray, plain("ES", "i4", "id", "the next stage whose context is to be decided on", blank=-1)
    ]
    scrape_s: Annotated[np.ndarray, plain("Egk", "f8", "s", "when a router scrapes a kind of signals next", blank=INF)]
    known_s: Annotated[np.ndarray, plain("Egk", "f8", "s", "when its scrape under way is known, inf = none", blank=INF)]
    underway: Annotated[np.ndarray, of("EgN", SCRAPE)]
    underway_status: Annotated[np.ndarray, plain("EgNM", "i8", "code", "the same of a model: ENGINE_*")]
    nodes: Annotated[np.ndarray, of("EN", NODE_CORE)]
    boards: Annotated[np.ndarray, of("Eb", BOARD_CORE)]
    link_outages: Annotated[np.ndarray, plain("ECC", "i8", "outages", "that the link of two clusters is in")]
    node_state_s: Annotated[np.ndarray, plain("ENs", "f8", "s", "that a node spent in NODE_*, up to its last change")]
    counters: Annotated[np.ndarray, of("E", COUNTERS)]
    samples: Annotated[np.ndarray, of("ET", SAMPLE)]
    node_samples: Annotated[np.ndarray, of("EDN", NODE_SAMPLE)]  # of the same moments
    residency_log: Annotated[np.ndarray, of("EL", RESIDENCY_EVENT)]
    residency_len: Annotated[np.ndarray, plain("E", "i8", "rows", "of the residency log written")]


class State(NamedTuple):
    """Everything about a batch of environments.

    The first field cannot be called ``view``: numba takes that for numpy's method.
    """

    visible: View
    hidden: Hidden
    core: Core
