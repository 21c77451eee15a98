"""How the state of a live fleet changes: it is the simulator's own state, moved by what servers report.

The simulator's arrays hold what a controller must know anyway: queues, batches, reservations, residency, prefix
entries. Here outside events move them instead of simulated steps, through the same functions, so that rules, masks and
encoders run on them unchanged. The hidden part serves only the workload's side, which knows what to send. All functions
work on environment 0.
"""

from __future__ import annotations

import math

from numba import types

from maestro_gym.core.compile import njit, njit_as
from maestro_gym.scheduling.sizes import load_bytes, load_room_bytes, weight_bytes
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_TOOL
from maestro_gym.scheduling.view import tenant_of
from maestro_gym.sim.calendar import ask_node, set_event
from maestro_gym.sim.decisions import due_decision
from maestro_gym.sim.engine import ENGINE, Engine, act, ask
from maestro_gym.sim.events import handle_events
from maestro_gym.sim.heap import push
from maestro_gym.sim.memory import give_back_memory, share_system_prompt
from maestro_gym.sim.queues import join_global, leave_global, leave_node
from maestro_gym.sim.reclaim import grow, leave_batch
from maestro_gym.sim.residency import advance_load, end_engine, log_residency, take_hbm
from maestro_gym.sim.steps import finish_stage
from maestro_gym.state import (
    CPU,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_FREE,
    ENGINE_LOADING,
    LOAD_PCIE,
    LOAD_START,
    RUNNING,
    SLEEPING,
    STAGE_DELIVERY,
    STAGE_QUEUED,
    STAGE_RUNNING,
    State,
)

OUTSIDE_S = 1e15
"""The time of an event that will come from outside: it lies before infinity, so that waiting for it is legal [s]."""

NOT_SERVED_BYTES = 1e18
"""The weights of a model that a node has no server for: they never fit, so that no mask lets the model go there."""

DOWN_BYTES = 2e18
"""The weights of a model whose server on a node is down: they never fit either, but the server may come back."""


@njit
def _bring_forward(state: State, stage: int) -> None:
    """Make the timed event of a stage due now."""
    env, core = state.core.env[0], state.core
    for i in range(env.heap_len):
        if core.heap_stage[0, i] == stage:
            # Nothing in the heap lies before now, so the event rises to the top from where it is.
            time_s = state.visible.clock[0].now_s
            at = i
            while at > 0:
                parent = (at - 1) >> 1
                core.heap_s[0, at], core.heap_stage[0, at] = core.heap_s[0, parent], core.heap_stage[0, parent]
                at = parent
            core.heap_s[0, 0], core.heap_stage[0, 0] = time_s, stage
            return


@njit
def _hold_events(state: State) -> None:
    """Keep simulated loads and steps from ending by themselves, and keep waiting for the real ones legal."""
    view, core = state.visible, state.core
    for node in range(view.nodes.shape[1]):
        pending = False
        for model in range(view.world.models.shape[0]):
            pending = pending or weight_bytes(view, node, model) >= DOWN_BYTES
        for slot in range(view.engines.shape[2]):
            core.engines[0, node, slot].load_event_s = math.inf
            core.engines[0, node, slot].event_s = math.inf
            pending = pending or view.engines[0, node, slot].status == ENGINE_LOADING
        set_event(state, 0, node, OUTSIDE_S if pending else math.inf)


@njit
def _index_in_batch(state: State, node: int, slot: int, stage: int) -> int:
    for i in range(state.visible.engines[0, node, slot].running):
        if state.visible.batch[0, node, slot, i] == stage:
            return i
    return -1


@njit_as(types.int64(ENGINE, types.float64))
def advance_to(engine: Engine, now_s: float) -> int:
    """Set the clock to ``now_s`` and handle arrivals, ends of tool gaps and of waits; return the number of events."""
    return handle_events(engine.state, 0, max(now_s, engine.state.visible.clock[0].now_s))


@njit_as(types.int64(ENGINE))
def next_tier(engine: Engine) -> int:
    """Return the tier that must decide now, and write it into the clock; NO_TIER when none must.

    Whose call gets a place of a tool is answered here, as no server takes part in it.
    """
    tier = due_decision(engine.state, 0)
    while tier == TIER_TOOL:
        act(engine, 0, tier, ask(engine, 0, tier))
        tier = due_decision(engine.state, 0)
    return tier


@njit_as(types.int64(ENGINE))
def ask_rule(engine: Engine) -> int:
    """Return the answer of the rule of the pending decision's tier."""
    return ask(engine, 0, int(engine.state.visible.clock[0].tier))


@njit_as(types.boolean(ENGINE, types.int64))
def take_action(engine: Engine, action: int) -> bool:
    """Apply an action of the pending decision, or the lowest legal one in its place; return whether it was legal.

    A stage is at its node at once, because the network takes its own time when the stage is sent. A load ends when its
    server says so.
    """
    state = engine.state
    tier = int(state.visible.clock[0].tier)
    stage = int(state.visible.clock[0].stage)
    legal = act(engine, 0, tier, action)
    if tier == TIER_CLUSTER:
        _bring_forward(state, stage)
    _hold_events(state)
    return legal


@njit_as(types.int64(ENGINE, types.int64, types.int64))
def show_tokens(engine: Engine, stage: int, generated: int) -> int:
    """Note that a running stage has ``generated`` tokens, and map the blocks it grew by; return how many it paused."""
    state = engine.state
    view = state.visible
    record, sequence = view.stages[0, stage], state.core.sequences[0, stage]
    if record.phase != STAGE_RUNNING or generated <= sequence.generated_tokens:
        return 0
    node = int(record.node)
    slot = int(view.slot_of[0, node, record.model])
    prefilled = sequence.computed_tokens >= sequence.target_tokens
    sequence.generated_tokens = generated
    sequence.computed_tokens = int(record.prompt_tokens) + generated - 1
    record.generated_tokens = generated
    if not prefilled:
        share_system_prompt(state, 0, node, slot, stage)
    if record.first_token_s == math.inf:
        record.first_token_s = view.clock[0].now_s
    before = state.core.counters[0].preemptions
    while sequence.computed_tokens + 1 > sequence.hit_tokens + sequence.private_tokens:
        if not grow(state, engine.oracle, 0, node, slot, stage, engine.reclaim_rule):
            break
    _hold_events(state)
    return state.core.counters[0].preemptions - before


@njit_as(types.boolean(ENGINE, types.int64, types.int64))
def end_stage(engine: Engine, stage: int, generated: int) -> bool:
    """Finish a running stage whose whole answer is here; return False when the stage does not run."""
    state = engine.state
    view = state.visible
    record, sequence = view.stages[0, stage], state.core.sequences[0, stage]
    if record.phase != STAGE_RUNNING:
        return False
    node = int(record.node)
    slot = int(view.slot_of[0, node, record.model])
    sequence.generated_tokens = generated
    sequence.computed_tokens = int(record.prompt_tokens) + generated - 1
    record.generated_tokens = generated
    finish_stage(state, 0, node, slot, _index_in_batch(state, node, slot, stage))
    _bring_forward(state, stage)
    handle_events(state, 0, view.clock[0].now_s)
    _hold_events(state)
    return True


@njit_as(types.boolean(ENGINE, types.int64, types.int64))
def take_back(engine: Engine, stage: int, generated: int) -> bool:
    """Return a stage to the global queue with ``generated`` tokens kept; return False when it was on no node."""
    state = engine.state
    view = state.visible
    record, sequence = view.stages[0, stage], state.core.sequences[0, stage]
    node = int(record.node)
    if record.phase == STAGE_RUNNING:
        slot = int(view.slot_of[0, node, record.model])
        leave_batch(state, 0, node, slot, _index_in_batch(state, node, slot, stage))
        give_back_memory(state, 0, node, slot, stage)
        state.core.counters[0].recomputed_tokens += sequence.computed_tokens
        record.preemptions += 1
    elif record.phase == STAGE_QUEUED:
        for i in range(view.nodes[0, node].queue_len):
            if view.node_queue[0, node, i] == stage:
                leave_node(state, 0, node, i)
                break
    else:
        return False
    sequence.computed_tokens = 0
    sequence.scheduled_tokens = 0
    sequence.generated_tokens = generated
    sequence.target_tokens = int(record.prompt_tokens) + generated
    record.generated_tokens = generated
    record.node = -1
    record.cluster = -1
    ask_node(state, 0, node)
    join_global(state, 0, stage)
    return True


@njit_as(types.boolean(ENGINE, types.int64, types.int64))
def end_load(engine: Engine, node: int, model: int) -> bool:
    """Make a model that was loading on a node RUNNING; return False when it was not loading."""
    state = engine.state
    slot = int(state.visible.slot_of[0, node, model])
    if slot < 0 or state.visible.engines[0, node, slot].status != ENGINE_LOADING:
        return False
    core = state.core.engines[0, node, slot]
    core.load_stage = LOAD_PCIE if core.load_from == SLEEPING else LOAD_START
    advance_load(state, 0, node, slot)
    core.cold = 0
    ask_node(state, 0, node)
    state.core.env[0].global_due = 1
    _hold_events(state)
    return True


@njit_as(types.boolean(ENGINE, types.int64, types.int64))
def drop_engine(engine: Engine, node: int, model: int) -> bool:
    """Remove an engine and its memory, when no stage runs on it any more; return False when it was not there."""
    state = engine.state
    slot = int(state.visible.slot_of[0, node, model])
    if slot < 0:
        return False
    record = state.visible.engines[0, node, slot]
    if record.status == ENGINE_LOADING:
        state.core.engines[0, node, slot].load_stage = 0
        record.status = ENGINE_AWAKE
    if record.status in (ENGINE_AWAKE, ENGINE_ASLEEP):
        end_engine(state, 0, node, slot)
    ask_node(state, 0, node)
    state.core.env[0].global_due = 1
    _hold_events(state)
    return record.status == ENGINE_FREE


@njit_as(types.boolean(ENGINE, types.int64, types.int64))
def revive_engine(engine: Engine, node: int, model: int) -> bool:
    """Make the model of a server that answers again RUNNING; return False when its memory was given to others."""
    state = engine.state
    view = state.visible
    if view.slot_of[0, node, model] >= 0 or load_room_bytes(view, 0, node) < load_bytes(view, 0, node, model):
        return False
    for slot in range(view.engines.shape[2]):
        record = view.engines[0, node, slot]
        if record.status == ENGINE_FREE:
            need = load_bytes(view, 0, node, model)
            state.core.engines[0, node, slot].load_from = CPU
            record.model = model
            record.status = ENGINE_AWAKE
            record.ready_s = view.clock[0].now_s
            record.last_used_s = view.clock[0].now_s
            view.slot_of[0, node, model] = slot
            take_hbm(state, 0, node, slot, need)
            log_residency(state, 0, node, model, CPU, RUNNING)
            ask_node(state, 0, node)
            state.core.env[0].global_due = 1
            _hold_events(state)
            return True
    return False


@njit_as(types.boolean(ENGINE, types.int64, types.int64, types.float64))
def adopt_finished(engine: Engine, stage: int, generated: int, now_s: float) -> bool:
    """Note a stage that an earlier controller saw finish; return False when it is not waiting.

    The caller has set the node and the times of the stage.
    """
    state = engine.state
    view = state.visible
    handle_events(state, 0, max(now_s, view.clock[0].now_s))
    for i in range(view.clock[0].global_len):
        if view.global_queue[0, i] == stage:
            leave_global(state, 0, i)
            view.stages[0, stage].phase = STAGE_DELIVERY
            view.stages[0, stage].generated_tokens = generated
            tenant = view.tenants[0, tenant_of(view, 0, stage)]
            tenant.prompt_tokens += view.stages[0, stage].prompt_tokens
            tenant.admitted += 1
            state.core.counters[0].output_tokens += generated
            push(state, 0, view.clock[0].now_s, stage)
            handle_events(state, 0, view.clock[0].now_s)
            return True
    return False
