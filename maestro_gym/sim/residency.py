"""Where weights are, and what moving them takes (docs/physics.md, "Residency").

A node's engine slots hold models that are RUNNING, loading or SLEEPING; below them every host has
a page cache (CPU) and an NVMe drive (DISK) that its nodes share, and beyond is REMOTE. A load goes
through parts, some of fixed length, some a transfer whose rate concurrent loads of the host share.
"""

from __future__ import annotations

import math

from maestro_gym.core.bits import next_in
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_times import load_s, sleep_s, start_s, wake_s
from maestro_gym.scheduling.sizes import load_bytes, weight_bytes
from maestro_gym.sim.calendar import bring_event
from maestro_gym.sim.index import note_asleep, note_tier, note_warm, touch
from maestro_gym.sim.memory import add_weights, evict, forget_prefixes
from maestro_gym.state import (
    CPU,
    DISK,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_FREE,
    ENGINE_LOADING,
    LOAD_NIC,
    LOAD_NONE,
    LOAD_NVME,
    LOAD_PCIE,
    LOAD_ROOM,
    LOAD_START,
    REMOTE,
    RUNNING,
    SLEEPING,
    State,
)


@njit
def log_residency(state: State, e: int, node: int, model: int, source: int, target: int) -> None:
    """Note a change of residency in the log while it has room, and the moment of it."""
    now_s = state.visible.clock[e].now_s
    state.visible.changed_s[e, node, model] = now_s
    at = state.core.residency_len[e]
    if at < state.core.residency_log.shape[1]:
        event = state.core.residency_log[e, at]
        event.time_s = now_s
        event.node = node
        event.model = model
        event.source = source
        event.target = target
        state.core.residency_len[e] = at + 1


@njit
def host_bytes(state: State, node: int, model: int) -> float:
    """Bytes of a model's weights in the memory of its host: all GPUs of the node."""
    world = state.visible.world
    return weight_bytes(state.visible, node, model) * world.nodes[node].gpus


@njit
def dram_free_bytes(state: State, e: int, node: int) -> float:
    """DRAM left on a node's host beside page cache, pinned copies of sleepers and contexts."""
    view = state.visible
    host = view.world.nodes[node].host
    free = view.world.hosts[host].dram_bytes - state.core.host_kv_bytes[e, host]
    for model in range(view.host_models.shape[2]):
        if view.host_models[e, host, model].tier == CPU:
            free -= host_bytes(state, node, model)
    other = next_in(state.core.host_nodes[e, host], -1)
    while other >= 0:
        for slot in range(view.engines.shape[2]):
            if view.engines[e, other, slot].status == ENGINE_ASLEEP:
                free -= host_bytes(state, other, view.engines[e, other, slot].model)
        other = next_in(state.core.host_nodes[e, host], other)
    return free


@njit
def _make_dram_room(state: State, e: int, node: int, need_bytes: float, keep_model: int) -> bool:
    """Drop least recently used weights from the host's page cache until ``need_bytes`` are free."""
    host = state.visible.world.nodes[node].host
    host_models = state.visible.host_models[e, host]
    free = dram_free_bytes(state, e, node)
    while free < need_bytes:
        oldest, oldest_s = -1, math.inf
        for model in range(host_models.shape[0]):
            record = host_models[model]
            if record.tier == CPU and model != keep_model and record.last_used_s < oldest_s:
                oldest, oldest_s = model, record.last_used_s
        if oldest < 0:
            return False
        note_tier(state, e, host, oldest, DISK)
        state.core.counters[e].demotions += 1
        free += host_bytes(state, node, oldest)
    return True


@njit
def _make_nvme_room(state: State, e: int, node: int, model: int) -> None:
    """Drop least recently used weights from the host's drive until a fetched model has room."""
    view = state.visible
    host = view.world.nodes[node].host
    host_models = view.host_models[e, host]
    while True:
        used = host_bytes(state, node, model)
        oldest, oldest_s = -1, math.inf
        for other in range(host_models.shape[0]):
            record = host_models[other]
            if record.tier == REMOTE or other == model:
                continue
            used += host_bytes(state, node, other)
            if record.tier == DISK and record.last_used_s < oldest_s:
                oldest, oldest_s = other, record.last_used_s
        if used <= view.world.hosts[host].nvme_bytes or oldest < 0:
            return
        note_tier(state, e, host, oldest, REMOTE)
        state.core.counters[e].demotions += 1


@njit
def share_host_rates(state: State, e: int, host: int, part: int) -> None:
    """Recompute the rates of all loads of a host that transfer over the same device."""
    view = state.visible
    now_s = view.clock[e].now_s
    spec = view.world.hosts[host]
    nodes = state.core.host_nodes[e, host]
    count, gpus = 0, 0
    node = next_in(nodes, -1)
    while node >= 0:
        for slot in range(view.engines.shape[2]):
            if state.core.engines[e, node, slot].load_stage == part:
                count += 1
                gpus += view.world.nodes[node].gpus
        node = next_in(nodes, node)
    if count == 0:
        return
    if part == LOAD_NIC:
        rate = spec.nic_bytes_per_s / count
    elif part == LOAD_NVME:
        rate = spec.nvme_bytes_per_s / count
    else:
        rate = min(spec.pcie_gpu_bytes_per_s, spec.pcie_host_bytes_per_s / gpus)
    node = next_in(nodes, -1)
    while node >= 0:
        for slot in range(view.engines.shape[2]):
            core = state.core.engines[e, node, slot]
            if core.load_stage == part:
                core.load_bytes = max(0.0, core.load_bytes - core.load_rate * (now_s - core.load_updated_s))
                core.load_rate = rate
                core.load_updated_s = now_s
                core.load_event_s = now_s + core.load_bytes / rate
                bring_event(state, e, node, core.load_event_s)
                view.engines[e, node, slot].ready_s = core.load_event_s + _rest_s(state, e, node, slot)
        node = next_in(nodes, node)


@njit
def _rest_s(state: State, e: int, node: int, slot: int) -> float:
    """Nominal seconds of the parts of a load that come after the one under way."""
    view = state.visible
    core = state.core.engines[e, node, slot]
    model = view.engines[e, node, slot].model
    total_s = wake_s(view, node, model) if core.load_from == SLEEPING else load_s(view, node, model, core.load_from)
    spec = view.world.hosts[view.world.nodes[node].host]
    size = host_bytes(state, node, model)
    part = core.load_stage
    if core.load_from == SLEEPING:
        return (
            total_s
            if part == LOAD_ROOM
            else (total_s - view.world.params[0].wake_base_s if part == LOAD_START else 0.0)
        )
    if part == LOAD_ROOM:
        return total_s
    if part == LOAD_NIC:
        return total_s - size / spec.nic_bytes_per_s
    if part == LOAD_NVME:
        return start_s(view, node, model)
    return 0.0


@njit
def _begin_part(state: State, e: int, node: int, slot: int, part: int) -> None:
    """Begin a part of a load; parts that do not apply to its source are passed over."""
    view = state.visible
    core = state.core.engines[e, node, slot]
    model = view.engines[e, node, slot].model
    if part == LOAD_NIC and core.load_from != REMOTE:
        part = LOAD_NVME
    if part == LOAD_NVME and core.load_from > DISK:
        part = LOAD_START
    core.load_stage = part
    now_s = view.clock[e].now_s
    if part in (LOAD_ROOM, LOAD_START):
        if part == LOAD_ROOM:
            length_s = core.load_delay_s
        elif core.load_from == SLEEPING:
            length_s = view.world.params[0].wake_base_s
        else:
            length_s = start_s(view, node, model)
        core.load_event_s = now_s + length_s
        view.engines[e, node, slot].ready_s = core.load_event_s + _rest_s(state, e, node, slot)
        bring_event(state, e, node, core.load_event_s)
    else:
        core.load_bytes = weight_bytes(view, node, model) if part == LOAD_PCIE else host_bytes(state, node, model)
        core.load_rate = 0.0
        core.load_updated_s = now_s
        share_host_rates(state, e, view.world.nodes[node].host, part)


@njit
def advance_load(state: State, e: int, node: int, slot: int) -> bool:
    """End the part of a load that is due; True when the model is RUNNING with it."""
    view = state.visible
    core = state.core.engines[e, node, slot]
    engine = view.engines[e, node, slot]
    part = core.load_stage
    host = view.world.nodes[node].host
    core.load_stage = LOAD_NONE
    core.load_event_s = math.inf
    core.load_rate = 0.0
    if part in (LOAD_NIC, LOAD_NVME, LOAD_PCIE):
        share_host_rates(state, e, host, part)
    if part == LOAD_NIC:
        _make_nvme_room(state, e, node, engine.model)
        note_tier(state, e, host, engine.model, max(DISK, view.host_models[e, host, engine.model].tier))
    elif part == LOAD_NVME and _make_dram_room(state, e, node, host_bytes(state, node, engine.model), engine.model):
        note_tier(state, e, host, engine.model, CPU)
    last = LOAD_PCIE if core.load_from == SLEEPING else LOAD_START
    if part != last:
        _begin_part(state, e, node, slot, part + 1)
        return False
    engine.status = ENGINE_AWAKE
    touch(state, e, node)
    engine.ready_s = view.clock[e].now_s
    engine.last_used_s = view.clock[e].now_s
    core.cold = 0 if core.load_from == SLEEPING else 1
    log_residency(state, e, node, engine.model, core.load_from, RUNNING)
    return True


@njit
def _take_slot(state: State, e: int, node: int) -> int:
    """A free engine slot; the least recently used sleeper, then idle engine, makes way."""
    engines = state.visible.engines[e, node]
    for slot in range(engines.shape[0]):
        if engines[slot].status == ENGINE_FREE:
            return slot
    for status in (ENGINE_ASLEEP, ENGINE_AWAKE):
        oldest, oldest_s = -1, math.inf
        for slot in range(engines.shape[0]):
            engine = engines[slot]
            if engine.status == status and engine.running == 0 and engine.last_used_s < oldest_s:
                oldest, oldest_s = slot, engine.last_used_s
        if oldest >= 0:
            end_engine(state, e, node, oldest)
            return oldest
    return -1


@njit
def start_load(state: State, e: int, node: int, model: int, delay_s: float) -> None:
    """Begin to make a model RUNNING; its HBM is taken at once, `delay_s` is spent on making room.

    The caller has checked `can_promote` and reclaimed the room.
    """
    view = state.visible
    host = view.world.nodes[node].host
    slot = view.slot_of[e, node, model]
    need = load_bytes(view, e, node, model)
    if slot >= 0:
        source = SLEEPING
        note_asleep(state, e, node, model, False)
        state.core.counters[e].wakes += 1
    else:
        source = view.host_models[e, host, model].tier
        slot = _take_slot(state, e, node)
        state.core.counters[e].cold_starts += 1
    engine = view.engines[e, node, slot]
    core = state.core.engines[e, node, slot]
    engine.model = model
    engine.status = ENGINE_LOADING
    engine.last_used_s = view.clock[e].now_s
    view.slot_of[e, node, model] = slot
    view.host_models[e, host, model].last_used_s = view.clock[e].now_s
    core.load_from = source
    core.load_delay_s = delay_s
    take_hbm(state, e, node, slot, need)
    log_residency(state, e, node, model, source, source)
    _begin_part(state, e, node, slot, LOAD_ROOM if delay_s > 0.0 else (LOAD_START if source == SLEEPING else LOAD_NIC))


@njit
def take_hbm(state: State, e: int, node: int, slot: int, need_bytes: float) -> None:
    """Book the HBM of an engine that loads: weights and margin, in partitioned mode its KV pool."""
    view = state.visible
    params = view.world.params[0]
    engine = view.engines[e, node, slot]
    note_warm(state, e, node, int(engine.model), True)
    if params.partitioned == 0:
        add_weights(state, e, node, need_bytes)
        evict(state, e, node, slot)
        return
    fixed = weight_bytes(view, node, engine.model) + params.margin_bytes
    asleep = params.sleep_bytes if state.core.engines[e, node, slot].load_from == SLEEPING else 0.0
    engine.kv_pool_bytes = need_bytes + asleep - fixed
    add_weights(state, e, node, fixed - asleep)
    view.nodes[e, node].kv_pool_bytes += engine.kv_pool_bytes


@njit
def leave_hbm(state: State, e: int, node: int, slot: int, kept_bytes: float) -> None:
    """Give back the HBM of an engine that is RUNNING with nothing admitted, or loads, but for ``kept_bytes``."""
    view = state.visible
    params = view.world.params[0]
    engine = view.engines[e, node, slot]
    note_warm(state, e, node, int(engine.model), False)
    forget_prefixes(state, e, node, slot)
    # What its next step would have paid for pages goes with them.
    state.core.engines[e, node, slot].overhead_s = 0.0
    add_weights(state, e, node, kept_bytes - weight_bytes(view, node, engine.model) - params.margin_bytes)
    if params.partitioned == 1:
        view.nodes[e, node].kv_pool_bytes -= engine.kv_pool_bytes
        engine.kv_pool_bytes = 0.0


@njit
def sleep_engine(state: State, e: int, node: int, slot: int) -> float:
    """Put an idle RUNNING engine to SLEEPING, or end it where host memory lacks; seconds it takes."""
    view = state.visible
    params = view.world.params[0]
    engine = view.engines[e, node, slot]
    model = engine.model
    seconds = sleep_s(view, node, model)
    if engine.slept_before == 0:
        seconds *= params.first_sleep_factor
    if not _make_dram_room(state, e, node, host_bytes(state, node, model), -1):
        end_engine(state, e, node, slot)
        return 0.0
    leave_hbm(state, e, node, slot, params.sleep_bytes)
    engine.status = ENGINE_ASLEEP
    note_asleep(state, e, node, int(model), True)
    engine.slept_before = 1
    state.core.counters[e].sleeps += 1
    log_residency(state, e, node, model, RUNNING, SLEEPING)
    return seconds


@njit
def vacate(state: State, e: int, node: int, slot: int) -> None:
    """A slot is free from now on and shows nothing of the engine that it held."""
    view = state.visible
    engine = view.engines[e, node, slot]
    view.slot_of[e, node, engine.model] = -1
    engine.status = ENGINE_FREE
    engine.model = -1
    engine.slept_before = 0
    # Else who comes next into the slot would have it until the next scrape.
    engine.kv_used_bytes = 0.0


@njit
def end_engine(state: State, e: int, node: int, slot: int) -> None:
    """End an idle or sleeping engine: its weights stay in the page cache while host memory lasts."""
    view = state.visible
    engine = view.engines[e, node, slot]
    model = engine.model
    host = view.world.nodes[node].host
    source = RUNNING if engine.status == ENGINE_AWAKE else SLEEPING
    if source == RUNNING:
        leave_hbm(state, e, node, slot, 0.0)
    else:
        add_weights(state, e, node, -view.world.params[0].sleep_bytes)
        note_asleep(state, e, node, int(model), False)
    vacate(state, e, node, slot)
    record = view.host_models[e, host, model]
    record.last_used_s = view.clock[e].now_s
    if record.tier < CPU and _make_dram_room(state, e, node, host_bytes(state, node, model), model):
        note_tier(state, e, host, model, CPU)
    state.core.counters[e].demotions += 1
    log_residency(state, e, node, model, source, record.tier)
