"""Making room: the atomic actions offered to the reclaim rule, and their execution (docs/physics.md, "Making room").

Cached prefixes are not among them: they count as free and go by themselves, oldest first.
"""

from __future__ import annotations

from collections.abc import Callable

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import demote_harm_s, service_at_s, service_time_s, sleep_harm_s
from maestro_gym.scheduling.load_times import sleep_s
from maestro_gym.scheduling.sizes import blocks_up, free_kv_bytes, kv_bytes, load_room_bytes, sleep_frees_bytes
from maestro_gym.sim.calendar import ask_node
from maestro_gym.sim.memory import evict, give_back_memory, resize
from maestro_gym.sim.queues import rejoin_node, return_global
from maestro_gym.sim.residency import end_engine, sleep_engine
from maestro_gym.sim.stretch import cut, steps_done
from maestro_gym.state import (
    BLOCK_TOKENS,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    RECLAIM_DEMOTE,
    RECLAIM_PAUSE,
    RECLAIM_SLEEP,
    RECLAIM_TRIM,
    Hidden,
    State,
    View,
)

Rule = Callable[[View, Hidden, int], int]

FOR_ADMISSION, FOR_LOAD, FOR_GROWTH = range(3)


@njit
def _offer(
    state: State,
    e: int,
    kind: int,
    slot: int,
    stage: int,
    freed_bytes: float,
    delay_s: float,
    harm_s: float,
    used_s: float,
) -> None:
    """Append a candidate, while the list has room."""
    view = state.visible
    at = view.reclaim_len[e]
    if at < view.reclaim.shape[1]:
        candidate = view.reclaim[e, at]
        candidate.kind = kind
        candidate.slot = slot
        candidate.stage = stage
        candidate.freed_bytes = freed_bytes
        candidate.delay_s = delay_s
        candidate.harm_s = harm_s
        candidate.last_used_s = used_s
        view.reclaim_len[e] = at + 1


@njit
def _surplus_tokens(state: State, e: int, node: int, slot: int, stage: int) -> int:
    """Tokens of a stage's reservation beyond its median prediction and beyond what it holds."""
    record = state.visible.stages[e, stage]
    sequence = state.core.sequences[e, stage]
    # Of a stretch under way only the steps so far count: its length would tell hidden output lengths.
    held = sequence.computed_tokens + steps_done(state, e, node, slot) + sequence.scheduled_tokens + 1
    predicted = int(record.prompt_tokens) + int(record.output_q50_tokens)
    floor = blocks_up(max(held, predicted, sequence.target_tokens + 1))
    return sequence.hit_tokens + sequence.private_tokens - floor


@njit
def list_candidates(state: State, e: int, node: int, slot: int, purpose: int) -> None:
    """Write the possible reclaim actions of a node into the view.

    Args:
        state: The batch.
        e: Environment.
        node: The node.
        slot: Engine that needs memory, -1 for a load into a free slot; it is never put to sleep itself.
        purpose: FOR_ADMISSION, FOR_LOAD or FOR_GROWTH; only growth may pause a running stage.
    """
    view = state.visible
    view.reclaim_len[e] = 0
    partitioned = view.world.params[0].partitioned == 1
    for k in range(view.engines.shape[2]):
        engine = view.engines[e, node, k]
        if engine.status == ENGINE_ASLEEP and k != slot and purpose == FOR_LOAD:
            freed = view.world.params[0].sleep_bytes
            _offer(state, e, RECLAIM_DEMOTE, k, -1, freed, 0.0, demote_harm_s(view, e, node, k), engine.last_used_s)
        if engine.status != ENGINE_AWAKE:
            continue
        if engine.running == 0:
            if k != slot and (purpose == FOR_LOAD or not partitioned):
                freed = sleep_frees_bytes(view, e, node, k)
                delay_s = sleep_s(view, node, engine.model)
                if engine.slept_before == 0:
                    delay_s *= view.world.params[0].first_sleep_factor
                _offer(
                    state, e, RECLAIM_SLEEP, k, -1, freed, delay_s, sleep_harm_s(view, e, node, k), engine.last_used_s
                )
            continue
        if partitioned and (k != slot or purpose == FOR_LOAD):
            continue
        unit = kv_bytes(view, node, engine.model)
        best, best_tokens = -1, 0
        for i in range(engine.running):
            tokens = _surplus_tokens(state, e, node, k, view.batch[e, node, k, i])
            if tokens > best_tokens:
                best, best_tokens = int(view.batch[e, node, k, i]), tokens
        if best >= 0:
            params = view.world.params[0]
            harm_s = params.growth_s * best_tokens * unit / params.growth_bytes
            _offer(state, e, RECLAIM_TRIM, k, best, best_tokens * unit, 0.0, harm_s, view.stages[e, best].admitted_s)
        # A batch can only lose a stage between two of its steps.
        if purpose == FOR_GROWTH and state.core.engines[e, node, k].dirty == 1:
            stage = int(view.batch[e, node, k, engine.running - 1])
            sequence = state.core.sequences[e, stage]
            harm_s = service_time_s(view, engine.model, float(sequence.computed_tokens), 0.0)
            freed = sequence.private_tokens * unit
            _offer(state, e, RECLAIM_PAUSE, k, stage, freed, 0.0, harm_s, view.stages[e, stage].admitted_s)


@njit
def leave_batch(state: State, e: int, node: int, slot: int, index: int) -> None:
    """Take the stage at ``index`` out of an engine's batch, the others keep their order."""
    view = state.visible
    engine = view.engines[e, node, slot]
    batch = view.batch[e, node, slot]
    stage = batch[index]
    for i in range(index, engine.running - 1):
        batch[i] = batch[i + 1]
    engine.running -= 1
    state.core.engines[e, node, slot].mapped_steps = -1
    engine.last_used_s = view.clock[e].now_s
    record = view.nodes[e, node]
    record.running -= 1
    record.running_work_s -= service_at_s(view, e, node, stage)
    if record.running == 0:
        record.running_work_s = 0.0


@njit
def pause_stage(state: State, e: int, node: int, slot: int, stage: int) -> None:
    """Take a running stage off its engine; it computes its prompt and output so far anew later.

    It goes to the head of its node's queue, or back to the global queue when that is full.
    """
    view = state.visible
    for i in range(view.engines[e, node, slot].running):
        if view.batch[e, node, slot, i] == stage:
            leave_batch(state, e, node, slot, i)
            break
    give_back_memory(state, e, node, slot, stage)
    sequence = state.core.sequences[e, stage]
    record = view.stages[e, stage]
    state.core.counters[e].preemptions += 1
    state.core.counters[e].recomputed_tokens += sequence.computed_tokens
    sequence.computed_tokens = 0
    sequence.scheduled_tokens = 0
    sequence.target_tokens = int(record.prompt_tokens) + sequence.generated_tokens
    record.preemptions += 1
    target = view.nodes[e, node]
    if target.queue_len + target.inbound < view.node_queue.shape[2]:
        rejoin_node(state, e, node, stage)
    else:
        return_global(state, e, stage)


@njit
def _reclaim_one(state: State, e: int, node: int, index: int) -> float:
    """Do one candidate; seconds until its memory is there."""
    view = state.visible
    candidate = view.reclaim[e, index]
    slot = candidate.slot
    stage = candidate.stage
    if candidate.kind == RECLAIM_TRIM:
        resize(state, e, node, slot, stage, -_surplus_tokens(state, e, node, slot, stage))
        # A stretch under way was planned to fill what is gone now.
        if state.core.engines[e, node, slot].steps > 0:
            cut(state, e, node, slot)
        return 0.0
    if candidate.kind == RECLAIM_SLEEP:
        return sleep_engine(state, e, node, slot)
    if candidate.kind == RECLAIM_DEMOTE:
        end_engine(state, e, node, slot)
        return 0.0
    pause_stage(state, e, node, slot, stage)
    return 0.0


@njit
def make_room(
    state: State, oracle: Hidden, e: int, node: int, slot: int, need_bytes: float, purpose: int, rule: Rule
) -> float:
    """Reclaim as the rule chooses until ``need_bytes`` are free.

    Returns:
        Seconds until the memory is there (0 when nothing had to move), or -1 when it could not be freed.
    """
    delay_s = 0.0
    # The rule finds its node in the clock, also where no decision is pending.
    state.visible.clock[e].place = node
    # Every action ends an engine, a reservation's surplus or a stage's run: the bound is never met.
    for _ in range(4 * state.visible.reclaim.shape[1]):
        room = (
            load_room_bytes(state.visible, e, node)
            if purpose == FOR_LOAD
            else free_kv_bytes(state.visible, e, node, slot)
        )
        if room >= need_bytes:
            return delay_s
        list_candidates(state, e, node, slot, purpose)
        if state.visible.reclaim_len[e] == 0:
            return -1.0
        choice = rule(state.visible, oracle, e)
        if choice < 0 or choice >= state.visible.reclaim_len[e]:
            return -1.0
        delay_s = max(delay_s, _reclaim_one(state, e, node, choice))
    return -1.0


@njit
def grow(state: State, oracle: Hidden, e: int, node: int, slot: int, stage: int, rule: Rule) -> bool:
    """Give a stage that fills its reservation more pages; False when it was paused instead.

    Where neither free memory nor the rule helps, the engine's last stages are preempted and
    recomputed later, as vLLM does.
    """
    view = state.visible
    sequence = state.core.sequences[e, stage]
    record = view.stages[e, stage]
    params = view.world.params[0]
    unit = kv_bytes(view, node, int(record.model))
    most = blocks_up(int(record.prompt_tokens) + int(record.max_output_tokens))
    left = max(BLOCK_TOKENS, most - sequence.hit_tokens - sequence.private_tokens)
    wanted = min(left, max(BLOCK_TOKENS, int(params.growth_bytes / unit) // BLOCK_TOKENS * BLOCK_TOKENS))
    room = free_kv_bytes(view, e, node, slot)
    if room < BLOCK_TOKENS * unit:
        preempted = state.core.counters[e].preemptions
        make_room(state, oracle, e, node, slot, BLOCK_TOKENS * unit, FOR_GROWTH, rule)
        while free_kv_bytes(view, e, node, slot) < BLOCK_TOKENS * unit and view.engines[e, node, slot].running > 0:
            last = view.batch[e, node, slot, view.engines[e, node, slot].running - 1]
            pause_stage(state, e, node, slot, last)
        if state.core.counters[e].preemptions > preempted:
            state.core.counters[e].oom_events += 1
            ask_node(state, e, node)
        if sequence.private_tokens == 0:
            return False
        room = free_kv_bytes(view, e, node, slot)
    tokens = min(wanted, int(room / unit) // BLOCK_TOKENS * BLOCK_TOKENS)
    resize(state, e, node, slot, stage, tokens)
    evict(state, e, node, slot)
    state.core.engines[e, node, slot].overhead_s += params.growth_s * tokens * unit / params.growth_bytes
    state.core.counters[e].growths += 1
    record.growths += 1
    return True
