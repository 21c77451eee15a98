"""What a scheduler can reckon from the view: service times, readiness, prefix hits, harm.

These are Maestro's terms (design 6.2, 6.3, 8): T_ready, C_deg, queue wait, and the bytes an
admission sets aside. They read the view alone, so they hold live as well as simulated.
"""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.schema import (
    BLOCK_TOKENS,
    CPU,
    DISK,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_LOADING,
    RESERVE_ADAPTIVE,
    RESERVE_MAX,
    RESERVE_Q90,
    View,
)
from maestro_gym.sim.load_times import read_time_s, start_time_s, wake_time_s

NOMINAL_BATCH = 16.0
"""Sequences that a node serves at once at the nominal speeds of ``World.service``."""

REUSE_SCALE_S = 60.0
"""Idle time after which an idle model is reckoned half as likely to be asked for soon (modelling choice)."""


@njit
def blocks_up(tokens: int) -> int:
    """Tokens rounded up to whole KV blocks."""
    return -(-tokens // BLOCK_TOKENS) * BLOCK_TOKENS


@njit
def service_time_s(view: View, model: int, prompt_tokens: float, output_tokens: float) -> float:
    """T_current of Maestro (F6): nominal prefill and decode time of one stage, seconds."""
    service = view.world.service[model]
    prefill_s = service.prefill_base_s + service.prefill_s_per_token * prompt_tokens
    return prefill_s + service.decode_s_per_token * output_tokens


@njit
def stage_service_s(view: View, e: int, stage: int) -> float:
    """Predicted nominal service time of a stage, seconds."""
    record = view.stages[e, stage]
    return service_time_s(view, int(record.model), float(record.prompt_tokens), record.output_q50_tokens)


@njit
def weight_bytes(view: View, node: int, model: int) -> float:
    """Weight bytes of a model on each GPU of a node."""
    world = view.world
    return world.perf[world.nodes[node].hardware, world.models[model].arch].weight_bytes


@njit
def kv_bytes(view: View, node: int, model: int) -> float:
    """KV bytes of one token of a model on each GPU of a node."""
    world = view.world
    return world.perf[world.nodes[node].hardware, world.models[model].arch].kv_bytes_per_token


@njit
def wake_s(view: View, node: int, model: int) -> float:
    """Seconds to wake a SLEEPING model, nothing else loading: 0.2 + GB/21 (design 6.3)."""
    world = view.world
    host = world.hosts[world.nodes[node].host]
    rate = min(host.pcie_gpu_bytes_per_s, host.pcie_host_bytes_per_s / host.gpus_per_node)
    return wake_time_s(world.params[0].wake_base_s, weight_bytes(view, node, model), rate)


@njit
def start_s(view: View, node: int, model: int) -> float:
    """Seconds to start an engine whose weights are in the page cache (design 6.3)."""
    world = view.world
    perf = world.perf[world.nodes[node].hardware, world.models[model].arch]
    params = world.params[0]
    return start_time_s(
        params.cpu_base_s, params.cpu_s_per_byte, perf.weight_bytes, params.cpu_s_per_layer, perf.layers
    )


@njit
def load_s(view: View, node: int, model: int, tier: int) -> float:
    """Seconds to load a model from CPU, DISK or REMOTE, nothing else loading (design 6.3)."""
    world = view.world
    host = world.hosts[world.nodes[node].host]
    total_bytes = weight_bytes(view, node, model) * host.gpus_per_node
    seconds = start_s(view, node, model)
    if tier <= DISK:
        seconds += read_time_s(total_bytes, host.nvme_bytes_per_s)
    if tier < DISK:
        seconds += read_time_s(total_bytes, host.nic_bytes_per_s)
    return seconds


@njit
def ready_time_s(view: View, e: int, node: int, model: int) -> float:
    """T_ready of Maestro: seconds until the model can serve on the node; 0 when it is RUNNING."""
    slot = view.slot_of[e, node, model]
    if slot >= 0:
        engine = view.engines[e, node, slot]
        if engine.status == ENGINE_AWAKE:
            return 0.0
        if engine.status == ENGINE_LOADING:
            return max(0.0, engine.ready_s - view.clock[e].now_s)
        return wake_s(view, node, model)
    return load_s(view, node, model, view.host_models[e, view.world.nodes[node].host, model].tier)


@njit
def queue_wait_s(view: View, e: int, node: int) -> float:
    """Seconds to serve what was sent to a node and is not admitted yet, at the nominal batch (a fluid estimate)."""
    return view.nodes[e, node].queued_work_s / NOMINAL_BATCH


@njit
def find_prefix(view: View, e: int, node: int, slot: int, group: int) -> int:
    """Index of the prefix entry of a group in an engine, -1 when there is none."""
    if group < 0:
        return -1
    groups = view.prefix_groups[e, node, slot]
    found = -1
    # No early exit: the loop then compiles to a few vector comparisons.
    for i in range(groups.shape[0]):
        if groups[i] == group:
            found = i
    return found


@njit
def best_prefix(view: View, e: int, node: int, slot: int, stage: int) -> int:
    """Index of the entry with the longest reusable prefix of a stage in an engine, -1 when none helps."""
    record = view.stages[e, stage]
    best, best_tokens = -1, 0
    ctx = find_prefix(view, e, node, slot, int(record.ctx_group))
    if ctx >= 0:
        best_tokens = min(view.prefixes[e, node, slot, ctx].tokens, int(record.ctx_prefix_tokens))
        best = ctx
    sys = find_prefix(view, e, node, slot, int(record.sys_group))
    if sys >= 0:
        tokens = min(view.prefixes[e, node, slot, sys].tokens, int(record.sys_prefix_tokens))
        if tokens > best_tokens:
            best, best_tokens = sys, tokens
    if best_tokens < BLOCK_TOKENS:
        return -1
    return best


@njit
def usable_tokens(view: View, e: int, node: int, slot: int, stage: int, entry: int) -> int:
    """Prompt tokens of a stage that an entry serves: whole blocks, at least one token left to compute."""
    if entry < 0:
        return 0
    record = view.stages[e, stage]
    prefix = view.prefixes[e, node, slot, entry]
    ctx = view.prefix_groups[e, node, slot, entry] == record.ctx_group
    limit = int(record.ctx_prefix_tokens) if ctx else int(record.sys_prefix_tokens)
    limit = min(limit, int(record.prompt_tokens) - 1)
    return min(prefix.tokens, limit) // BLOCK_TOKENS * BLOCK_TOKENS


@njit
def prefix_hit_tokens(view: View, e: int, node: int, stage: int) -> int:
    """Prompt tokens of a stage that the node holds in its prefix cache."""
    slot = view.slot_of[e, node, view.stages[e, stage].model]
    if slot < 0 or view.engines[e, node, slot].status != ENGINE_AWAKE:
        return 0
    entry = best_prefix(view, e, node, slot, stage)
    return usable_tokens(view, e, node, slot, stage, entry)


@njit
def reserve_tokens(view: View, e: int, node: int, stage: int, level: int) -> int:
    """Tokens that an admission sets aside for prompt and output, whole blocks, shared ones included.

    Level RESERVE_ADAPTIVE: (L_in + L_hat)(1 + rho), Maestro's F7; RESERVE_Q90: L_in + q90;
    RESERVE_MAX: L_in + max_output_tokens, the static rival; RESERVE_PROMPT: what is there to compute
    and one token, as vLLM allocates, the rest grows page by page. Never beyond the client's limit, never
    below one token more than what is known to be needed.
    """
    record = view.stages[e, stage]
    prompt = int(record.prompt_tokens)
    known = prompt + int(record.generated_tokens) + 1
    most = prompt + int(record.max_output_tokens)
    if level == RESERVE_ADAPTIVE:
        wanted = int(math.ceil((prompt + record.output_q50_tokens) * (1.0 + view.nodes[e, node].rho)))
    elif level == RESERVE_Q90:
        wanted = prompt + int(math.ceil(record.output_q90_tokens))
    elif level == RESERVE_MAX:
        wanted = most
    else:
        wanted = known
    return blocks_up(max(known, min(wanted, most)))


@njit
def admit_bytes(view: View, e: int, node: int, stage: int, level: int) -> float:
    """Bytes by which the node's reservation grows if the stage is admitted: its own blocks and newly pinned ones."""
    model = int(view.stages[e, stage].model)
    slot = view.slot_of[e, node, model]
    tokens = reserve_tokens(view, e, node, stage, level)
    if slot >= 0 and view.engines[e, node, slot].status == ENGINE_AWAKE:
        entry = best_prefix(view, e, node, slot, stage)
        hit = usable_tokens(view, e, node, slot, stage, entry)
        # A prompt of a block or less has a prefix in the cache, and nothing that it may take from it.
        if hit > 0:
            tokens += newly_pinned_tokens(view, e, node, slot, entry) - hit
    return tokens * kv_bytes(view, node, model)


@njit
def newly_pinned_tokens(view: View, e: int, node: int, slot: int, entry: int) -> int:
    """Tokens of unreferenced blocks that a first reference to an entry pins (its system prompt's included)."""
    entries = view.prefixes[e, node, slot]
    if entries[entry].refs > 0:
        return 0
    tokens = entries[entry].tokens - entries[entry].base_tokens
    base = entries[entry].base_entry
    if base >= 0 and entries[base].refs == 0:
        tokens += entries[base].tokens
    return tokens


@njit
def free_kv_bytes(view: View, e: int, node: int, slot: int) -> float:
    """KV bytes an engine can still reserve without reclaim; cached prefixes count as free."""
    if view.world.params[0].partitioned == 1:
        engine = view.engines[e, node, slot]
        return engine.kv_pool_bytes - engine.kv_reserved_bytes
    record = view.nodes[e, node]
    return record.kv_pool_bytes - record.kv_reserved_bytes


@njit
def load_room_bytes(view: View, e: int, node: int) -> float:
    """HBM bytes a new engine can take without reclaim."""
    record = view.nodes[e, node]
    if view.world.params[0].partitioned == 1:
        return view.world.nodes[node].hbm_pool_bytes - record.weights_bytes - record.kv_pool_bytes
    return record.kv_pool_bytes - record.kv_reserved_bytes


@njit
def load_bytes(view: View, e: int, node: int, model: int) -> float:
    """HBM bytes that making a model RUNNING takes: weights and margin, in partitioned mode its KV pool too."""
    params = view.world.params[0]
    need = weight_bytes(view, node, model) + params.margin_bytes
    if params.partitioned == 1:
        share = view.world.nodes[node].hbm_pool_bytes / params.partitions
        need = math.ceil((need + blocks_up(BLOCK_TOKENS) * kv_bytes(view, node, model)) / share - 1e-9) * share
    slot = view.slot_of[e, node, model]
    if slot >= 0 and view.engines[e, node, slot].status == ENGINE_ASLEEP:
        need -= params.sleep_bytes
    return need


@njit
def sleep_frees_bytes(view: View, e: int, node: int, slot: int) -> float:
    """HBM bytes that putting an idle engine to sleep gives back."""
    params = view.world.params[0]
    engine = view.engines[e, node, slot]
    freed = weight_bytes(view, node, engine.model) + params.margin_bytes - params.sleep_bytes
    if params.partitioned == 1:
        freed += engine.kv_pool_bytes
    return freed


@njit
def reuse_likelihood(view: View, e: int, node: int, slot: int) -> float:
    """How likely an idle model is asked for soon: 1 / (1 + idle time / 60 s), a modelling choice."""
    idle_s = max(0.0, view.clock[e].now_s - view.engines[e, node, slot].last_used_s)
    return 1.0 / (1.0 + idle_s / REUSE_SCALE_S)


@njit
def sleep_harm_s(view: View, e: int, node: int, slot: int) -> float:
    """Expected delay to others of putting an idle engine to sleep: its wake time, if it is wanted soon."""
    return wake_s(view, node, view.engines[e, node, slot].model) * reuse_likelihood(view, e, node, slot)


@njit
def demote_harm_s(view: View, e: int, node: int, slot: int) -> float:
    """Expected delay to others of ending a sleeping engine: a cold start instead of a wake."""
    model = view.engines[e, node, slot].model
    extra_s = load_s(view, node, model, CPU) - wake_s(view, node, model)
    return extra_s * reuse_likelihood(view, e, node, slot)


@njit
def idle_bytes(view: View, e: int, node: int, keep_model: int, residue_bytes: float) -> float:
    """HBM bytes that making every idle engine but ``keep_model``'s give way would free.

    Args:
        view: what is known.
        e: environment.
        node: the node.
        keep_model: the model that room is made for.
        residue_bytes: what ending a sleeper frees: 0 for an admission, which can only put engines to sleep.
    """
    total = 0.0
    for slot in range(view.engines.shape[2]):
        engine = view.engines[e, node, slot]
        if engine.model == keep_model:
            continue
        if engine.status == ENGINE_ASLEEP:
            total += residue_bytes
        elif engine.status == ENGINE_AWAKE and engine.running == 0:
            total += sleep_frees_bytes(view, e, node, slot) + residue_bytes
    return total


@njit
def reclaim_harm_s(view: View, e: int, node: int, stage: int) -> float:
    """C_deg of Maestro: estimated delay to others, in seconds, of making room for a stage on a node.

    Idle engines are put to sleep in order of least harm a byte until weights and reservation fit;
    where they do not suffice, the time until the busy ones have drained is added (fluid estimate).
    Dropped cached prefixes cost their recomputation, half the time (modelling choice).
    """
    model = int(view.stages[e, stage].model)
    slot = view.slot_of[e, node, model]
    awake = slot >= 0 and view.engines[e, node, slot].status != ENGINE_ASLEEP
    kv_need = admit_bytes(view, e, node, stage, RESERVE_ADAPTIVE)
    room = free_kv_bytes(view, e, node, slot) if awake else load_room_bytes(view, e, node)
    partitioned = view.world.params[0].partitioned == 1
    need = kv_need if awake else load_bytes(view, e, node, model) + (0.0 if partitioned else kv_need)
    harm_s = 0.0
    dropped = min(view.nodes[e, node].kv_cached_bytes, need - (room - view.nodes[e, node].kv_cached_bytes))
    if dropped > 0.0:
        tokens = dropped / kv_bytes(view, node, model)
        harm_s += 0.5 * tokens * view.world.service[model].prefill_s_per_token
    missing = need - room
    floor = -1.0
    # Whoever is displaced is away for as long as the newcomer runs, and then must wake.
    tenure_s = service_time_s(
        view, model, float(view.stages[e, stage].prompt_tokens), view.stages[e, stage].output_q50_tokens
    )
    while missing > 0.0 and not (awake and partitioned):
        # The next idle engine in order of harm a byte; `floor` stands for those already counted.
        best, best_rate = -1, math.inf
        for k in range(view.engines.shape[2]):
            engine = view.engines[e, node, k]
            if engine.status != ENGINE_AWAKE or engine.running > 0 or k == slot:
                continue
            rate = sleep_harm_s(view, e, node, k) / sleep_frees_bytes(view, e, node, k)
            if rate > floor and rate < best_rate:
                best, best_rate = k, rate
        if best < 0:
            break
        harm_s += sleep_harm_s(view, e, node, best) + tenure_s * reuse_likelihood(view, e, node, best)
        missing -= sleep_frees_bytes(view, e, node, best)
        floor = best_rate
    if missing > 0.0:
        harm_s += view.nodes[e, node].running_work_s / max(1, view.nodes[e, node].running)
    return harm_s
