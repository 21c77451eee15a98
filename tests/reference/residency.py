"""Where weights are: loads, sleep, and the tiers of a host.

Conventions beside the formulas (docs/physics.md, "Residency"):

- A wake is 0.2 s and then a transfer over PCIe, whose rate the host's wakes share. A start from CPU
  has one fixed length; what comes from DISK or REMOTE is first read whole, all GPUs' shares of it,
  over the NIC and then the NVMe drive, whose rates the host's loads share.
- What arrives over the NIC is on the drive, what was read from the drive is in the page cache while
  DRAM lasts, least recently used weights making way; pinned copies of sleepers take DRAM too.
- The log has a row for the beginning of a load (to the tier that it comes from) and for its end.
- Putting a model to sleep by a node's decision frees its memory at once; in a reclaim the one who
  needs the memory waits for as long as the model's wake takes, the first time for twice as long.
- A model whose weights find no room in DRAM is ended instead of put to sleep.
"""

from __future__ import annotations

import math

from tests.reference.inputs import BLOCK, HostSpec
from tests.reference.kv_memory import copy_s, make_fit
from tests.reference.machine import Engine, Host, Load, Node, State

TIERS = ("remote", "disk", "cpu")
TRANSFERS = ("nic", "nvme", "pcie")
PARTS = {
    "asleep": ("room", "start", "pcie"),
    "cpu": ("room", "start"),
    "disk": ("room", "nvme", "start"),
    "remote": ("room", "nic", "nvme", "start"),
}


def host_of(state: State, node: Node) -> tuple[Host, HostSpec]:
    """The machine of a node."""
    return state.hosts[node.spec.host], state.fleet.hosts[node.spec.host]


def host_bytes(state: State, node: Node, model: int) -> float:
    """Weights of a model in host memory: all GPUs of the node."""
    return node.spec.speeds[model].weight_bytes * node.spec.gpus


def wake_s(state: State, node: Node, model: int) -> float:
    """Seconds of a wake that shares nothing."""
    return state.fleet.limits["wake_base_s"] + copy_s(state, node, node.spec.speeds[model].weight_bytes)


def start_s(state: State, node: Node, model: int) -> float:
    """Seconds of an engine's start from the page cache."""
    limits, speed = state.fleet.limits, node.spec.speeds[model]
    return (
        limits["cpu_base_s"] + limits["cpu_s_per_byte"] * speed.weight_bytes + limits["cpu_s_per_layer"] * speed.layers
    )


def sleep_s(state: State, node: Node, engine: Engine) -> float:
    """Seconds until the memory of an engine that is put to sleep is there."""
    factor = 1.0 if engine.slept_before else state.fleet.limits["first_sleep_factor"]
    return factor * (state.fleet.limits["sleep_base_s"] + copy_s(state, node, engine.speed.weight_bytes))


def load_bytes(node: Node, model: int) -> float:
    """HBM that making a model RUNNING takes; partitioned, whole parts of the node, with a block of KV in them."""
    limits, speed = node.fleet.limits, node.spec.speeds[model]
    need = speed.weight_bytes + limits["margin_bytes"]
    if node.partitioned:
        part = node.spec.hbm_pool_bytes / limits["partitions"]
        need = math.ceil((need + BLOCK * speed.kv_bytes_per_token) / part - 1e-9) * part
    engine = node.engine_of(model)
    if engine is not None and engine.status == "asleep":
        need -= limits["sleep_bytes"]
    return need


def sleep_frees_bytes(node: Node, engine: Engine) -> float:
    """HBM that putting an engine to sleep gives back."""
    limits = node.fleet.limits
    freed = engine.speed.weight_bytes + limits["margin_bytes"] - limits["sleep_bytes"]
    return freed + (engine.pool_bytes if node.partitioned else engine.pinned_bytes)


def free_dram_bytes(state: State, node: Node) -> float:
    """DRAM beside the page cache and the pinned copies of sleepers."""
    host, spec = host_of(state, node)
    free = spec.dram_bytes
    free -= sum(host_bytes(state, node, m) for m, tier in enumerate(host.tier) if tier == "cpu")
    for other in state.nodes:
        if other.spec.host == node.spec.host:
            free -= sum(host_bytes(state, other, e.model) for e in other.engines() if e.status == "asleep")
            offloaded = sum(prefix.dram_tokens * e.unit for e in other.engines() for prefix in e.cached())
            free -= offloaded * other.spec.gpus
    return free


def make_dram_room(state: State, node: Node, need_bytes: float, keep: int) -> bool:
    """Drop the least recently used weights from the page cache until there is room."""
    host = host_of(state, node)[0]
    while free_dram_bytes(state, node) < need_bytes:
        offers = [m for m, tier in enumerate(host.tier) if tier == "cpu" and m != keep]
        if not offers:
            return False
        host.tier[min(offers, key=lambda m: host.used_s[m])] = "disk"
        state.count("demotions")
    return True


def make_nvme_room(state: State, node: Node, model: int) -> None:
    """Drop the least recently used weights from the drive until a fetched model has room, as far as possible."""
    host, spec = host_of(state, node)
    while True:
        kept = [m for m, tier in enumerate(host.tier) if tier != "remote" and m != model]
        used = host_bytes(state, node, model) + sum(host_bytes(state, node, m) for m in kept)
        offers = [m for m in kept if host.tier[m] == "disk"]
        if used <= spec.nvme_bytes or not offers:
            return
        host.tier[min(offers, key=lambda m: host.used_s[m])] = "remote"
        state.count("demotions")


def start_load(state: State, node: Node, model: int, room_s: float) -> None:
    """Begin to make a model RUNNING, after `room_s` in which memory is freed for it."""
    host = host_of(state, node)[0]
    engine = node.engine_of(model)
    if engine is not None:
        source = "asleep"
        state.count("wakes")
        hbm_pool = load_bytes(node, model) + node.fleet.limits["sleep_bytes"]
    else:
        source = host.tier[model]
        state.count("cold_starts")
        hbm_pool = load_bytes(node, model)
        place = free_slot(state, node)
        engine = Engine(model, node.spec.speeds[model], "loading", state.now_s)
        node.slots[place] = engine
    engine.status = "loading"
    engine.used_s = state.now_s
    host.used_s[model] = state.now_s
    if node.partitioned:
        engine.pool_bytes = hbm_pool - engine.speed.weight_bytes - node.fleet.limits["margin_bytes"]
    else:
        make_fit(node, engine)
    engine.load = Load(source, room_s)
    logged = "sleeping" if source == "asleep" else source
    state.log_residency(node, model, logged, logged)
    begin_part(state, node, engine, PARTS[source][0 if room_s > 0 else 1])


def free_slot(state: State, node: Node) -> int:
    """A free engine slot; else the least recently used sleeper is ended for it, else idle engine."""
    if None not in node.slots:
        sleepers = [e for e in node.engines() if e.status == "asleep"]
        idle = [e for e in node.engines() if e.is_idle]
        victim = min(sleepers or idle, key=lambda e: e.used_s)
        place = node.slots.index(victim)
        end_engine(state, node, victim)
        return place
    return node.slots.index(None)


def begin_part(state: State, node: Node, engine: Engine, part: str) -> None:
    """Begin a part of a load."""
    load = engine.load
    assert load is not None
    load.part = part
    if part in TRANSFERS:
        load.left_bytes = engine.speed.weight_bytes if part == "pcie" else host_bytes(state, node, engine.model)
        load.rate = 0.0
        load.updated_s = state.now_s
        share_device(state, node.spec.host, part)
    elif part == "room":
        load.end_s = state.now_s + load.room_s
    else:
        length = state.fleet.limits["wake_base_s"] if load.source == "asleep" else start_s(state, node, engine.model)
        load.end_s = state.now_s + length


def share_device(state: State, host: int, part: str) -> None:
    """All loads of a host that use one device get an equal share of it from now on."""
    spec = state.fleet.hosts[host]
    found = [
        (engine.load, node.spec.gpus)
        for node in state.nodes
        if node.spec.host == host
        for engine in node.engines()
        if engine.load is not None and engine.load.part == part
    ]
    if not found:
        return
    loads = [load for load, _ in found]
    count = len(loads)
    rate = {
        "nic": spec.nic_bytes_per_s / count,
        "nvme": spec.nvme_bytes_per_s / count,
        "pcie": min(spec.pcie_gpu_bytes_per_s, spec.pcie_host_bytes_per_s / sum(gpus for _, gpus in found)),
    }[part]
    for load in loads:
        load.left_bytes = max(0.0, load.left_bytes - load.rate * (state.now_s - load.updated_s))
        load.rate = rate
        load.updated_s = state.now_s
        load.end_s = state.now_s + load.left_bytes / rate


def advance_load(state: State, node: Node, engine: Engine) -> None:
    """The part of a load that is due has ended; with the last one the model is RUNNING."""
    load = engine.load
    assert load is not None
    part, parts = load.part, PARTS[load.source]
    load.part, load.end_s = "", math.inf
    if part in TRANSFERS:
        share_device(state, node.spec.host, part)
    host = host_of(state, node)[0]
    if part == "nic":
        make_nvme_room(state, node, engine.model)
        host.tier[engine.model] = max("disk", host.tier[engine.model], key=TIERS.index)
    elif part == "nvme" and make_dram_room(state, node, host_bytes(state, node, engine.model), engine.model):
        host.tier[engine.model] = "cpu"
    if part != parts[-1]:
        begin_part(state, node, engine, parts[parts.index(part) + 1])
        return
    engine.load = None
    engine.status = "awake"
    engine.used_s = state.now_s
    engine.cold = load.source != "asleep"
    logged = "sleeping" if load.source == "asleep" else load.source
    state.log_residency(node, engine.model, logged, "running")
    node.due = state.global_due = True


def sleep_engine(state: State, node: Node, engine: Engine) -> float:
    """Put an idle engine to sleep; it loses its prefixes. Seconds until its memory is there."""
    seconds = sleep_s(state, node, engine)
    if not make_dram_room(state, node, host_bytes(state, node, engine.model), -1):
        end_engine(state, node, engine)
        return 0.0
    engine.prefixes = [None] * len(engine.prefixes)
    engine.pool_bytes = engine.owed_s = 0.0
    engine.status = "asleep"
    engine.slept_before = True
    state.count("sleeps")
    state.log_residency(node, engine.model, "running", "sleeping")
    return seconds


def end_engine(state: State, node: Node, engine: Engine) -> None:
    """End an idle or sleeping engine; its weights stay in the page cache while DRAM lasts."""
    host = host_of(state, node)[0]
    model = engine.model
    source = "running" if engine.status == "awake" else "sleeping"
    node.slots[node.slots.index(engine)] = None
    host.used_s[model] = state.now_s
    if host.tier[model] != "cpu" and make_dram_room(state, node, host_bytes(state, node, model), model):
        host.tier[model] = "cpu"
    state.count("demotions")
    state.log_residency(node, model, source, host.tier[model])
