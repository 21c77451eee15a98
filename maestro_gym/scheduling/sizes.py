"""How many bytes and tokens things take: weights, KV, reservations, prefix hits, and what making room would free.

These are accounts and no guesses, so the physics and the schedulers share them; what a scheduler may only reckon
(waits, readiness, harm) stands in ``estimates``. All read the view alone, so they hold live as well as simulated.
"""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import hands_over
from maestro_gym.state import (
    BLOCK_TOKENS,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    RESERVE_ADAPTIVE,
    RESERVE_MAX,
    RESERVE_Q90,
    View,
)


@njit
def blocks_up(tokens: int) -> int:
    """Tokens rounded up to whole KV blocks."""
    return -(-tokens // BLOCK_TOKENS) * BLOCK_TOKENS


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
def offloaded_tokens(view: View, e: int, node: int, slot: int, stage: int) -> int:
    """Prompt tokens of a stage that an engine left in the memory of its host: whole blocks, at least one to compute."""
    record = view.stages[e, stage]
    context = find_prefix(view, e, node, slot, int(record.ctx_group))
    if context < 0:
        return 0
    tokens = min(int(view.prefixes[e, node, slot, context].dram_tokens), int(record.ctx_prefix_tokens))
    return min(tokens, int(record.prompt_tokens) - 1) // BLOCK_TOKENS * BLOCK_TOKENS


@njit
def most_usable_tokens(view: View, e: int, stage: int) -> int:
    """Prompt tokens of a stage that any entry of any engine could serve: a bound of `usable_tokens`."""
    record = view.stages[e, stage]
    shared = max(int(record.ctx_prefix_tokens), int(record.sys_prefix_tokens))
    return min(shared, int(record.prompt_tokens) - 1) // BLOCK_TOKENS * BLOCK_TOKENS


@njit
def longest_tokens(view: View, e: int, node: int, stage: int) -> int:
    """Tokens that a stage may come to hold on a node: to its output limit, or its next token if it leaves then."""
    record = view.stages[e, stage]
    prompt = int(record.prompt_tokens)
    if hands_over(view, node):
        return prompt + int(record.generated_tokens) + 1
    return prompt + int(record.max_output_tokens)


@njit
def reserve_tokens(view: View, e: int, node: int, stage: int, level: int) -> int:
    """Tokens that an admission sets aside for prompt and output, whole blocks, shared ones included.

    Level RESERVE_ADAPTIVE: (L_in + L_hat)(1 + rho), Maestro's F7; RESERVE_Q90: L_in + q90;
    RESERVE_MAX: L_in + max_output_tokens, the static rival; RESERVE_PROMPT: what is there to compute
    and one token, as vLLM allocates, the rest grows page by page. Never beyond the client's limit, never
    below one token more than what is known to be needed, which is all on a node that hands the stage over.
    """
    record = view.stages[e, stage]
    prompt = int(record.prompt_tokens)
    known = prompt + int(record.generated_tokens) + 1
    most = longest_tokens(view, e, node, stage)
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
    elif engine.running == 0:
        freed += engine.kv_pinned_bytes  # contexts that it holds
    return freed


@njit
def idle_bytes(view: View, e: int, node: int, keep_model: int, residue_bytes: float) -> float:
    """HBM bytes that making every idle engine but ``keep_model``'s give way would free.

    Args:
        view: What is known.
        e: Environment.
        node: The node.
        keep_model: The model that room is made for.
        residue_bytes: What ending a sleeper frees: 0 for an admission, which can only put engines to sleep.
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
