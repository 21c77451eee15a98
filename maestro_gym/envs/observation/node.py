"""Features of a node, of a model on it, and of a stage and a node together."""

from __future__ import annotations

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.scales import of_count, of_latency, of_share, of_time
from maestro_gym.scheduling.estimates import prefix_hit_tokens, ready_time_s, reclaim_harm_s
from maestro_gym.scheduling.load_signals import queue_wait_s
from maestro_gym.scheduling.sizes import admit_bytes, weight_bytes
from maestro_gym.state import (
    CPU,
    DISK,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_LOADING,
    RESERVE_ADAPTIVE,
    View,
)


@njit
def write_node(view: View, e: int, node: int, row: np.ndarray, at: int, predictions: bool) -> None:
    """Write the NODE block (arguments as `stage_features.write_stage`)."""
    record = view.nodes[e, node]
    params = view.world.params[0]
    pool = float(view.world.nodes[node].hbm_pool_bytes)
    taken = float(record.queue_len) + float(record.inbound)
    awake, loading, asleep = 0.0, 0.0, 0.0
    slots = view.engines.shape[2]
    for slot in range(slots):
        status = int(view.engines[e, node, slot].status)
        if status == ENGINE_AWAKE:
            awake += 1.0
        elif status == ENGINE_LOADING:
            loading += 1.0
        elif status == ENGINE_ASLEEP:
            asleep += 1.0
    row[at] = of_count(float(record.queue_len))
    row[at + 1] = of_count(float(record.inbound))
    row[at + 2] = of_count(float(record.running))
    row[at + 3] = 1.0 - of_share(taken, float(params.node_queue_limit))
    row[at + 4] = of_share(float(record.kv_pool_bytes) - float(record.kv_reserved_bytes), pool)
    row[at + 5] = of_share(float(record.kv_reserved_bytes), pool)
    row[at + 6] = of_share(float(record.kv_used_bytes), pool)
    row[at + 7] = of_share(float(record.kv_cached_bytes), pool)
    row[at + 8] = of_share(float(record.kv_virtual_bytes), float(params.kv_virtual_cap) * pool)
    row[at + 9] = of_share(float(record.weights_bytes), pool)
    row[at + 10] = of_share(float(record.rho), 1.0)
    row[at + 11] = awake / slots
    row[at + 12] = loading / slots
    row[at + 13] = asleep / slots
    if predictions:
        row[at + 14] = of_time(queue_wait_s(view, e, node))


@njit
def write_model(view: View, e: int, node: int, model: int, row: np.ndarray, at: int) -> None:
    """Write the MODEL block: a model on a node."""
    slot = int(view.slot_of[e, node, model])
    running = 0.0
    if slot >= 0:
        engine = view.engines[e, node, slot]
        status = int(engine.status)
        running = float(engine.running)
        state = 0 if status == ENGINE_AWAKE else (1 if status == ENGINE_LOADING else 2)
    else:
        tier = int(view.host_models[e, int(view.world.nodes[node].host), model].tier)
        state = 3 if tier == CPU else (4 if tier == DISK else 5)
    for i in range(6):
        row[at + i] = 1.0 if i == state else 0.0
    row[at + 6] = of_time(ready_time_s(view, e, node, model))
    row[at + 7] = of_share(running, float(view.world.params[0].max_num_seqs))
    row[at + 8] = of_count(float(view.waiting[e, node, model]))
    row[at + 9] = of_share(weight_bytes(view, node, model), float(view.world.nodes[node].hbm_pool_bytes))


@njit
def write_pair(view: View, e: int, node: int, stage: int, row: np.ndarray, at: int, predictions: bool) -> None:
    """Write the PAIR block: a stage and a node that may serve it."""
    record = view.stages[e, stage]
    workflow = view.workflows[e, int(record.workflow)]
    cluster = int(view.world.nodes[node].cluster)
    row[at] = of_latency(float(view.world.latency_s[int(workflow.ingress_cluster), cluster]))
    row[at + 1] = of_share(float(prefix_hit_tokens(view, e, node, stage)), float(record.prompt_tokens))
    row[at + 2] = 1.0 if int(workflow.last_node) == node else 0.0
    if predictions:
        pool = float(view.world.nodes[node].hbm_pool_bytes)
        row[at + 3] = of_share(admit_bytes(view, e, node, stage, RESERVE_ADAPTIVE), pool)
        row[at + 4] = of_time(reclaim_harm_s(view, e, node, stage))
