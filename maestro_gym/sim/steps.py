"""An engine's steps: continuous batching with chunked prefill, and exact fast-forward.

A step with any prefill is simulated by itself. While an engine only decodes, the time of step j is
``base + slope * j``, so a whole stretch of steps has a closed form; it ends at the next change of
the batch and is cut at a token boundary by whatever comes before (docs/physics.md, "A step of an engine").
"""

from __future__ import annotations

import math

from maestro_gym.core.calendar import put
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.sizes import blocks_up, kv_bytes
from maestro_gym.scheduling.view import hands_over
from maestro_gym.sim.calendar import UNSET, ask_node, find_event, plan_later
from maestro_gym.sim.contexts import note_boundary
from maestro_gym.sim.handoff import hand_over
from maestro_gym.sim.links import send_answer, send_first_token
from maestro_gym.sim.memory import give_back_memory, keep_context, share_system_prompt
from maestro_gym.sim.reclaim import Rule, grow, leave_batch
from maestro_gym.sim.stretch import TIE_S, boundary_at_or_after, cut, steps_done, stretch_s
from maestro_gym.state import (
    ENGINE_AWAKE,
    PHASE_DECODE,
    PHASE_IDLE,
    PHASE_PREFILL,
    STAGE_DELIVERY,
    Hidden,
    State,
)


@njit
def show_progress(state: State, e: int, node: int, slot: int) -> None:
    """Bring the streamed tokens of an engine's stages in the view up to now."""
    core = state.core.engines[e, node, slot]
    steps = steps_done(state, e, node, slot)
    if steps == core.seen_steps:
        return
    core.seen_steps = steps
    view = state.visible
    for i in range(view.engines[e, node, slot].running):
        stage = view.batch[e, node, slot, i]
        sequence = state.core.sequences[e, stage]
        if sequence.scheduled_tokens > 0:
            view.stages[e, stage].generated_tokens = sequence.generated_tokens + steps


@njit
def mapped_bytes(state: State, e: int, node: int, slot: int) -> float:
    """KV bytes of the blocks that an engine has mapped now: its stages' own, pinned and cached ones."""
    view = state.visible
    engine = view.engines[e, node, slot]
    core = state.core.engines[e, node, slot]
    steps = steps_done(state, e, node, slot)
    if core.mapped_steps != steps:
        tokens = 0
        for i in range(engine.running):
            sequence = state.core.sequences[e, view.batch[e, node, slot, i]]
            own = sequence.computed_tokens - sequence.hit_tokens
            if core.steps > 1 and sequence.scheduled_tokens > 0:
                own += steps
            tokens += blocks_up(own)
        core.mapped_steps = steps
        core.mapped_tokens = tokens
    return core.mapped_tokens * kv_bytes(view, node, engine.model) + engine.kv_pinned_bytes + engine.kv_cached_bytes


@njit
def finish_stage(state: State, e: int, node: int, slot: int, index: int) -> None:
    """A stage has its last token: memory back, context kept, answer sent."""
    view = state.visible
    stage = int(view.batch[e, node, slot, index])
    sequence = state.core.sequences[e, stage]
    record = view.stages[e, stage]
    held = sequence.computed_tokens
    leave_batch(state, e, node, slot, index)
    give_back_memory(state, e, node, slot, stage)
    keep_context(state, e, node, slot, stage, held)
    note_boundary(state, e, stage)
    # rho follows the recent relative under-estimation of what admission had reckoned with (F7).
    params = view.world.params[0]
    predicted = float(record.prompt_tokens) + record.output_q50_tokens
    under = max(0.0, (held - predicted) / predicted)
    rho = view.nodes[e, node].rho
    view.nodes[e, node].rho = min(params.rho_max, max(params.rho_min, rho + params.rho_step * (under - rho)))
    record.phase = STAGE_DELIVERY
    send_answer(state, e, node, stage)
    state.core.counters[e].output_tokens += sequence.generated_tokens
    ask_node(state, e, node)


@njit
def settle(state: State, e: int, node: int, slot: int) -> None:
    """Account for the stretch that has just ended: tokens, first tokens, stages that finished or are handed over."""
    view = state.visible
    core = state.core.engines[e, node, slot]
    engine = view.engines[e, node, slot]
    steps = core.steps
    index = 0
    while index < engine.running:
        stage = int(view.batch[e, node, slot, index])
        sequence = state.core.sequences[e, stage]
        record = view.stages[e, stage]
        tokens = sequence.scheduled_tokens
        if tokens == 0:
            index += 1
            continue
        sequence.scheduled_tokens = 0
        if sequence.computed_tokens >= sequence.target_tokens:
            sequence.computed_tokens += steps
            sequence.generated_tokens += steps
        else:
            sequence.computed_tokens += tokens
            if sequence.computed_tokens >= sequence.target_tokens:
                sequence.generated_tokens += 1
                share_system_prompt(state, e, node, slot, stage)
                if sequence.generated_tokens == 1:
                    send_first_token(state, e, node, stage)
        record.generated_tokens = sequence.generated_tokens
        if sequence.generated_tokens >= state.hidden.truth[e, stage].output_tokens:
            finish_stage(state, e, node, slot, index)
        elif hands_over(view, node) and sequence.computed_tokens >= sequence.target_tokens:
            hand_over(state, e, node, slot, index)
        else:
            index += 1
    _count_stretch(state, e, node, slot, max(held_tokens(state, e, node, slot), core.held_tokens))
    core.steps = 0
    core.seen_steps = 0
    core.mapped_steps = -1
    core.event_s = math.inf
    core.dirty = 1
    plan_later(state, e, node)


@njit
def _count_stretch(state: State, e: int, node: int, slot: int, held_now: int) -> None:
    """Add the stretch under way, up to now, to the integrals; its KV tokens grew evenly to ``held_now``."""
    view = state.visible
    core = state.core.engines[e, node, slot]
    elapsed_s = max(0.0, view.clock[e].now_s - core.begin_s)
    unit = kv_bytes(view, node, view.engines[e, node, slot].model)
    state.core.counters[e].kv_used_byte_s += 0.5 * (core.held_tokens + held_now) * unit * elapsed_s
    state.core.counters[e].busy_s += elapsed_s / core.factor
    state.core.nodes[e, node].busy_s += elapsed_s / core.factor


@njit
def count_open_stretches(state: State, e: int, node: int) -> None:
    """Count what a node has under way and will not go on with: the episode ends, or the node is lost."""
    view = state.visible
    for slot in range(view.engines.shape[2]):
        if state.core.engines[e, node, slot].steps == 0:
            continue
        grown = 0
        for i in range(view.engines[e, node, slot].running):
            grown += state.core.sequences[e, view.batch[e, node, slot, i]].scheduled_tokens
        grown *= steps_done(state, e, node, slot)
        held = state.core.engines[e, node, slot].held_tokens + grown
        _count_stretch(state, e, node, slot, held)


@njit
def held_tokens(state: State, e: int, node: int, slot: int) -> int:
    """KV tokens that the batch of an engine holds for itself, shared prefixes not counted."""
    total = 0
    for i in range(state.visible.engines[e, node, slot].running):
        sequence = state.core.sequences[e, state.visible.batch[e, node, slot, i]]
        total += sequence.computed_tokens - sequence.hit_tokens
    return total


@njit
def _phase_of(state: State, e: int, node: int, slot: int) -> int:
    """What the next step of an engine will be, from the sequences whose memory is there."""
    view = state.visible
    phase = PHASE_IDLE
    for i in range(view.engines[e, node, slot].running):
        sequence = state.core.sequences[e, view.batch[e, node, slot, i]]
        if sequence.start_s <= view.clock[e].now_s + TIE_S:
            if sequence.computed_tokens < sequence.target_tokens:
                return PHASE_PREFILL
            phase = PHASE_DECODE
    return phase


@njit
def _slowdown(state: State, e: int, node: int, slot: int) -> float:
    """Factor by which the busy neighbours on a node slow an engine's step (docs/physics.md, "Co-location")."""
    params = state.visible.world.params[0]
    busy, share = 0, 0.0
    for k in range(state.visible.engines.shape[2]):
        phase = state.core.engines[e, node, k].phase
        if phase == PHASE_IDLE:
            continue
        busy += 1
        if params.mps == 1:
            share += params.mps_share_decode
        else:
            share += params.share_prefill if phase == PHASE_PREFILL else params.share_decode
    if busy <= 1:
        return 1.0
    if params.mps == 1 and state.core.engines[e, node, slot].phase == PHASE_PREFILL:
        return float(busy) ** params.mps_prefill_exponent
    return max(1.0, share)


@njit
def _plan_prefill(state: State, e: int, node: int, slot: int) -> None:
    """Schedule one step with prefill: the batch in order of admission, within the token budget."""
    view = state.visible
    world = view.world
    core = state.core.engines[e, node, slot]
    budget = world.params[0].max_num_batched_tokens
    tokens, decoding, sampling, kv = 0, 0, 0, 0
    pairs = 0.0
    for i in range(view.engines[e, node, slot].running):
        sequence = state.core.sequences[e, view.batch[e, node, slot, i]]
        sequence.scheduled_tokens = 0
        if tokens >= budget or sequence.start_s > view.clock[e].now_s + TIE_S:
            continue
        left = sequence.target_tokens - sequence.computed_tokens
        if left <= 0:
            sequence.scheduled_tokens = 1
            decoding += 1
            sampling += 1
            kv += sequence.computed_tokens + 1
        else:
            chunk = min(left, budget - tokens)
            sequence.scheduled_tokens = chunk
            pairs += chunk * (sequence.computed_tokens + 0.5 * chunk)
            if chunk == left:
                sampling += 1
        tokens += sequence.scheduled_tokens
    hardware, arch = world.nodes[node].hardware, world.models[view.engines[e, node, slot].model].arch
    perf = world.perf[hardware, arch]
    seconds = world.step_s[hardware, arch, tokens] + world.sample_s[hardware, arch, sampling]
    seconds += perf.att_prefill_const_s + perf.att_prefill_s_per_pair * pairs
    if decoding > 0:
        decode = world.decode[hardware, arch, decoding]
        seconds += decode.const_s + decode.s_per_token * kv
    core.base_s = seconds * core.factor
    core.slope_s = 0.0
    core.steps = 1


@njit
def _plan_decode(state: State, e: int, node: int, slot: int) -> None:
    """Schedule a stretch of decode steps up to the first finish, full reservation or late start."""
    view = state.visible
    world = view.world
    core = state.core.engines[e, node, slot]
    decoding, kv = 0, 0
    steps = 1 << 40
    next_start_s = math.inf
    for i in range(view.engines[e, node, slot].running):
        stage = view.batch[e, node, slot, i]
        sequence = state.core.sequences[e, stage]
        sequence.scheduled_tokens = 0
        if sequence.start_s > view.clock[e].now_s + TIE_S:
            next_start_s = min(next_start_s, sequence.start_s)
            continue
        sequence.scheduled_tokens = 1
        decoding += 1
        kv += sequence.computed_tokens + 1
        steps = min(steps, state.hidden.truth[e, stage].output_tokens - sequence.generated_tokens)
        steps = min(steps, sequence.hit_tokens + sequence.private_tokens - sequence.computed_tokens)
    hardware, arch = world.nodes[node].hardware, world.models[view.engines[e, node, slot].model].arch
    decode = world.decode[hardware, arch, decoding]
    seconds = world.step_s[hardware, arch, decoding] + world.sample_s[hardware, arch, decoding]
    seconds += decode.const_s + decode.s_per_token * kv
    core.base_s = seconds * core.factor
    core.slope_s = decode.s_per_token * decoding * core.factor
    core.steps = steps
    if next_start_s < math.inf:
        core.steps = boundary_at_or_after(state, e, node, slot, next_start_s)


@njit
def _plan(state: State, e: int, node: int, slot: int) -> None:
    """Plan what an engine does from now on."""
    view = state.visible
    core = state.core.engines[e, node, slot]
    core.dirty = 0
    core.seen_steps = 0
    core.begin_s = view.clock[e].now_s
    if core.phase == PHASE_IDLE:
        core.event_s = math.inf
        core.steps = 0
        # Nothing to run yet, but memory may be on its way to an admitted stage.
        for i in range(view.engines[e, node, slot].running):
            start_s = state.core.sequences[e, view.batch[e, node, slot, i]].start_s
            core.event_s = min(core.event_s, start_s)
        return
    if core.cold == 1:
        core.overhead_s += view.world.params[0].warmup_s
        core.cold = 0
    core.begin_s += core.overhead_s
    core.overhead_s = 0.0
    core.factor = _slowdown(state, e, node, slot)
    if core.phase == PHASE_PREFILL:
        _plan_prefill(state, e, node, slot)
    else:
        _plan_decode(state, e, node, slot)
    core.held_tokens = held_tokens(state, e, node, slot)
    core.event_s = core.begin_s + stretch_s(state, e, node, slot, core.steps)


@njit
def _grow_batch(state: State, oracle: Hidden, e: int, node: int, slot: int, rule: Rule) -> None:
    """See that every decoding stage of an engine has a page for its next token."""
    view = state.visible
    index = 0
    while index < view.engines[e, node, slot].running:
        stage = int(view.batch[e, node, slot, index])
        sequence = state.core.sequences[e, stage]
        decoding = sequence.computed_tokens >= sequence.target_tokens
        full = sequence.computed_tokens + 1 > sequence.hit_tokens + sequence.private_tokens
        # A paused stage, this one or another, shortens the batch: look at it again from the start.
        if decoding and full and sequence.start_s <= view.clock[e].now_s + TIE_S:
            running = view.engines[e, node, slot].running
            grow(state, oracle, e, node, slot, stage, rule)
            if view.engines[e, node, slot].running < running:
                index = 0
                continue
        index += 1


@njit
def _let_scheduled_step_go(state: State, e: int, node: int, slot: int) -> None:
    """Where a step is scheduled while the one before it runs: what was admitted meanwhile joins the step after it.

    When nothing else would run, nothing was scheduled, and it joins at once.
    """
    view = state.visible
    now_s = view.clock[e].now_s
    scheduled = False
    for i in range(view.engines[e, node, slot].running):
        sequence = state.core.sequences[e, view.batch[e, node, slot, i]]
        scheduled = scheduled or (sequence.joining == 0 and sequence.start_s <= now_s + TIE_S)
    for i in range(view.engines[e, node, slot].running):
        sequence = state.core.sequences[e, view.batch[e, node, slot, i]]
        if sequence.joining == 1 and sequence.start_s <= now_s + TIE_S:
            sequence.joining = 0
            if scheduled:
                sequence.start_s = now_s + 2.0 * TIE_S


@njit
def plan_node(state: State, oracle: Hidden, e: int, node: int, rule: Rule) -> None:
    """Plan every engine of a node that has no stretch under way; neighbours feel a change of phase.

    All phases are known before any step is planned, so the order of the engines does not matter.
    """
    view = state.visible
    count = view.engines.shape[2]
    for slot in range(count):
        core = state.core.engines[e, node, slot]
        if core.dirty == 1 and view.engines[e, node, slot].status == ENGINE_AWAKE:
            if view.world.params[0].schedule_ahead == 1:
                _let_scheduled_step_go(state, e, node, slot)
            _grow_batch(state, oracle, e, node, slot, rule)
    changed = False
    for slot in range(count):
        core = state.core.engines[e, node, slot]
        if core.dirty == 1:
            phase = _phase_of(state, e, node, slot)
            changed = changed or phase != core.phase
            core.phase = phase
    for slot in range(count):
        core = state.core.engines[e, node, slot]
        if core.dirty == 1:
            _plan(state, e, node, slot)
        elif changed and core.steps > 0:
            cut(state, e, node, slot)
    find_event(state, e, node)
    put(state.core.dirty[e], node, UNSET)
    state.core.metrics_until_s[e, node] = -math.inf
