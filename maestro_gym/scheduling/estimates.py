"""What a scheduler can reckon from the view: service times, waits, readiness, prefix hits, harm.

These are the terms of Maestro: T_current (F6), T_ready, C_deg and the queue wait. They read the view alone, so they
hold live as well as simulated.
"""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_times import load_s, wake_s
from maestro_gym.scheduling.sizes import (
    admit_bytes,
    best_prefix,
    free_kv_bytes,
    kv_bytes,
    load_bytes,
    load_room_bytes,
    offloaded_tokens,
    sleep_frees_bytes,
    usable_tokens,
)
from maestro_gym.scheduling.view import engine_status
from maestro_gym.state import (
    CPU,
    DUTY_DECODE,
    DUTY_PREFILL,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_LOADING,
    RESERVE_ADAPTIVE,
    View,
)

REUSE_SCALE_S = 60.0
"""Idle time after which an idle model is reckoned half as likely to be asked for soon (modelling choice)."""


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
def service_at_s(view: View, e: int, node: int, stage: int) -> float:
    """The same of the part that a node computes: the prefill, what comes after it, or both, seconds."""
    record = view.stages[e, stage]
    model, duty = int(record.model), int(view.world.nodes[node].duty)
    if duty == DUTY_PREFILL:
        return service_time_s(view, model, float(record.prompt_tokens), 0.0)
    if duty == DUTY_DECODE:
        return view.world.service[model].decode_s_per_token * record.output_q50_tokens
    return stage_service_s(view, e, stage)


@njit
def slack_s(view: View, e: int, stage: int) -> float:
    """Time by which a workflow would meet its deadline, served at once and alone: deadline - now - T_rem [s]."""
    record = view.stages[e, stage]
    return view.workflows[e, record.workflow].deadline_s - view.clock[e].now_s - record.remaining_s_q50


@njit
def remaining_output_tokens(view: View, e: int, stage: int) -> float:
    """Predicted output of a call and of all that will follow it in its workflow."""
    record = view.stages[e, stage]
    return record.output_q50_tokens + record.remaining_output_tokens


@njit
def remaining_tokens(view: View, e: int, stage: int) -> float:
    """Predicted prompts and outputs of a call and of all that will follow it in its workflow."""
    record = view.stages[e, stage]
    return float(record.prompt_tokens) + record.remaining_input_tokens + remaining_output_tokens(view, e, stage)


@njit
def ready_time_s(view: View, e: int, node: int, model: int) -> float:
    """T_ready of Maestro: seconds until the model can serve on the node, as far as is known; 0 when it is RUNNING."""
    status = engine_status(view, e, node, model)
    if status == ENGINE_AWAKE:
        return 0.0
    if status == ENGINE_LOADING:
        slot = view.slot_of[e, node, model]
        return max(0.0, view.engines[e, node, slot].ready_s - view.clock[e].now_s) if slot >= 0 else 0.0
    if status == ENGINE_ASLEEP:
        return wake_s(view, node, model)
    return load_s(view, node, model, view.host_models[e, view.world.nodes[node].host, model].tier)


@njit
def prefix_hit_tokens(view: View, e: int, node: int, stage: int) -> int:
    """Prompt tokens of a stage that the node holds in its prefix cache, or offloaded in the memory of its host."""
    slot = view.slot_of[e, node, view.stages[e, stage].model]
    if slot < 0 or view.engines[e, node, slot].status != ENGINE_AWAKE:
        return 0
    entry = best_prefix(view, e, node, slot, stage)
    hit = usable_tokens(view, e, node, slot, stage, entry)
    if view.world.params[0].context_hold_max_s == 0.0:
        return hit
    return max(hit, offloaded_tokens(view, e, node, slot, stage))


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
