"""Features of a cluster as the goal of a stage, and of the whole fleet."""

from __future__ import annotations

import math

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.scales import of_count, of_share, of_time
from maestro_gym.scheduling.estimates import ready_time_s
from maestro_gym.scheduling.legal import can_route, node_has_room
from maestro_gym.scheduling.load_signals import queue_wait_s
from maestro_gym.state import ENGINE_AWAKE, ENGINE_LOADING, View


@njit
def write_cluster(view: View, e: int, cluster: int, stage: int, row: np.ndarray, at: int, predictions: bool) -> int:
    """Write the CLUSTER block of a stage and a cluster.

    Returns:
        The cluster's best node for the stage: the least T_ready + queue wait among those that may
        take it (T_ready and stages waiting without predictions), the lower id on a tie; -1 = none.
    """
    model = int(view.stages[e, stage].model)
    nodes, open_nodes, warm = 0.0, 0.0, 0.0
    queued, running, free = 0.0, 0.0, 0.0
    best, best_start_s = -1, math.inf
    for node in range(view.world.nodes.shape[0]):
        if int(view.world.nodes[node].cluster) != cluster:
            continue
        record = view.nodes[e, node]
        nodes += 1.0
        queued += float(record.queue_len) + float(record.inbound)
        running += float(record.running)
        pool = float(view.world.nodes[node].hbm_pool_bytes)
        free += of_share(float(record.kv_pool_bytes) - float(record.kv_reserved_bytes), pool)
        slot = int(view.slot_of[e, node, model])
        if slot >= 0 and int(view.engines[e, node, slot].status) == ENGINE_AWAKE:
            warm += 1.0
        if not can_route(view, e, stage, node):
            continue
        open_nodes += 1.0
        start_s = float(ready_time_s(view, e, node, model))
        start_s += queue_wait_s(view, e, node) if predictions else float(record.queue_len) + float(record.inbound)
        if start_s < best_start_s:
            best, best_start_s = node, start_s
    row[at] = of_count(queued / nodes)
    row[at + 1] = of_count(running / nodes)
    row[at + 2] = open_nodes / nodes
    row[at + 3] = warm / nodes
    row[at + 4] = free / nodes
    if predictions and best >= 0:
        row[at + 5] = of_time(best_start_s)
    return best


@njit
def write_fleet(view: View, e: int, workflows: int, row: np.ndarray, at: int, predictions: bool) -> None:
    """Write the FLEET block.

    Args:
        view: what a scheduler sees.
        e: environment.
        workflows: workflows in the system, arrived and not finished.
        row: float32, shape (columns,).
        at: first column of the block.
        predictions: whether predicted columns are written.
    """
    clock = view.clock[e]
    queued, inbound, running, room = 0.0, 0.0, 0.0, 0.0
    free, reserved, weights, wait_s = 0.0, 0.0, 0.0, 0.0
    awake, loading = 0.0, 0.0
    nodes = view.world.nodes.shape[0]
    for node in range(nodes):
        record = view.nodes[e, node]
        pool = float(view.world.nodes[node].hbm_pool_bytes)
        queued += float(record.queue_len)
        inbound += float(record.inbound)
        running += float(record.running)
        room += 1.0 if node_has_room(view, e, node) else 0.0
        free += of_share(float(record.kv_pool_bytes) - float(record.kv_reserved_bytes), pool)
        reserved += of_share(float(record.kv_reserved_bytes), pool)
        weights += of_share(float(record.weights_bytes), pool)
        wait_s += queue_wait_s(view, e, node)
        for slot in range(view.engines.shape[2]):
            status = int(view.engines[e, node, slot].status)
            if status == ENGINE_AWAKE:
                awake += 1.0
            elif status == ENGINE_LOADING:
                loading += 1.0
    oldest_s = 0.0
    if int(clock.global_len) > 0:
        oldest_s = float(clock.now_s) - float(view.stages[e, int(view.global_queue[e, 0])].ready_s)
    row[at] = of_count(float(clock.global_len))
    row[at + 1] = of_time(oldest_s)
    row[at + 2] = of_count(float(workflows))
    row[at + 3] = of_count(queued)
    row[at + 4] = of_count(inbound)
    row[at + 5] = of_count(running)
    row[at + 6] = room / nodes
    row[at + 7] = free / nodes
    row[at + 8] = reserved / nodes
    row[at + 9] = weights / nodes
    row[at + 10] = of_count(awake / nodes)
    row[at + 11] = of_count(loading / nodes)
    row[at + 12] = 1.0 if int(clock.wait_legal) == 1 else 0.0
    if predictions:
        row[at + 13] = of_time(wait_s / nodes)
