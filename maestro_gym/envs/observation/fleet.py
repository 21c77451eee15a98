"""Features of the whole fleet."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.node import kv_free, kv_reserved, weights
from maestro_gym.envs.observation.scales import of_count, of_flag, of_time
from maestro_gym.scheduling.legal import node_has_room
from maestro_gym.scheduling.load_signals import inbound_at, queue_wait_s, queued_at, running_at
from maestro_gym.scheduling.view import (
    may_wait,
    now_s,
    num_nodes,
    num_ready,
    num_slots,
    ready_s,
    ready_stage,
    slot_status,
)
from maestro_gym.state import ENGINE_AWAKE, ENGINE_LOADING, View


class Totals(NamedTuple):
    """Sums over the nodes of the fleet, taken in one pass because an observation is written at every decision.

    Attributes:
        queued: Stages in node queues.
        inbound: Stages on the way to nodes.
        running: Admitted stages.
        room: Nodes whose queue has a free place.
        kv_free: Sum of ``node_kv_free``.
        kv_reserved: Sum of ``node_kv_reserved``.
        weights: Sum of ``node_weights``.
        wait_s: Sum of the times to drain.
        awake: RUNNING models.
        loading: Loading models.
    """

    queued: float
    inbound: float
    running: float
    room: float
    kv_free: float
    kv_reserved: float
    weights: float
    wait_s: float
    awake: float
    loading: float


@njit
def fleet_totals(view: View, e: int) -> Totals:
    """Take the sums of one environment."""
    queued, inbound, running, room = 0.0, 0.0, 0.0, 0.0
    free, reserved, weight, wait_s = 0.0, 0.0, 0.0, 0.0
    awake, loading = 0.0, 0.0
    for node in range(num_nodes(view)):
        queued += float(queued_at(view, e, node))
        inbound += float(inbound_at(view, e, node))
        running += float(running_at(view, e, node))
        room += of_flag(node_has_room(view, e, node))
        free += kv_free(view, e, node)
        reserved += kv_reserved(view, e, node)
        weight += weights(view, e, node)
        wait_s += queue_wait_s(view, e, node)
        for slot in range(num_slots(view)):
            status = slot_status(view, e, node, slot)
            awake += of_flag(status == ENGINE_AWAKE)
            loading += of_flag(status == ENGINE_LOADING)
    return Totals(queued, inbound, running, room, free, reserved, weight, wait_s, awake, loading)


FLEET = Block("fleet", __name__)
"""Its columns take the number of workflows in the system, which have arrived and not finished, and the sums."""


@FLEET.column("fleet_ready", "count", "stages in the global queue")
def _ready(view: View, e: int, workflows: int, totals: Totals) -> float:
    return of_count(float(num_ready(view, e)))


@FLEET.column("fleet_oldest", "time", "longest wait in the global queue")
def _oldest(view: View, e: int, workflows: int, totals: Totals) -> float:
    oldest_s = 0.0
    if num_ready(view, e) > 0:
        oldest_s = now_s(view, e) - ready_s(view, e, ready_stage(view, e, 0))
    return of_time(oldest_s)


@FLEET.column("fleet_workflows", "count", "workflows in the system")
def _workflows(view: View, e: int, workflows: int, totals: Totals) -> float:
    return of_count(float(workflows))


@FLEET.column("fleet_queued", "count", "stages in node queues")
def _queued(view: View, e: int, workflows: int, totals: Totals) -> float:
    return of_count(totals.queued)


@FLEET.column("fleet_inbound", "count", "stages on the way to nodes")
def _inbound(view: View, e: int, workflows: int, totals: Totals) -> float:
    return of_count(totals.inbound)


@FLEET.column("fleet_running", "count", "admitted stages")
def _running(view: View, e: int, workflows: int, totals: Totals) -> float:
    return of_count(totals.running)


@FLEET.column("fleet_open", "share", "of nodes whose queue has a free place")
def _open(view: View, e: int, workflows: int, totals: Totals) -> float:
    return totals.room / num_nodes(view)


@FLEET.column("fleet_kv_free", "share", "mean over nodes of node_kv_free")
def _kv_free(view: View, e: int, workflows: int, totals: Totals) -> float:
    return totals.kv_free / num_nodes(view)


@FLEET.column("fleet_kv_reserved", "share", "mean over nodes of node_kv_reserved")
def _kv_reserved(view: View, e: int, workflows: int, totals: Totals) -> float:
    return totals.kv_reserved / num_nodes(view)


@FLEET.column("fleet_weights", "share", "mean over nodes of node_weights")
def _weights(view: View, e: int, workflows: int, totals: Totals) -> float:
    return totals.weights / num_nodes(view)


@FLEET.column("fleet_awake", "count", "RUNNING models a node")
def _awake(view: View, e: int, workflows: int, totals: Totals) -> float:
    return of_count(totals.awake / num_nodes(view))


@FLEET.column("fleet_loading", "count", "loading models a node")
def _loading(view: View, e: int, workflows: int, totals: Totals) -> float:
    return of_count(totals.loading / num_nodes(view))


@FLEET.column("fleet_wait_legal", "flag", "the decision may be to wait")
def _wait_legal(view: View, e: int, workflows: int, totals: Totals) -> float:
    return of_flag(may_wait(view, e))


@FLEET.column("fleet_queue_wait", "time", "mean over nodes of the time to drain", predicted=True)
def _queue_wait(view: View, e: int, workflows: int, totals: Totals) -> float:
    return of_time(totals.wait_s / num_nodes(view))


_write_columns = FLEET.writer()


@njit
def write_fleet(view: View, e: int, workflows: int, row: np.ndarray, at: int, predictions: bool) -> None:
    """Write the block, as a block's writer does."""
    _write_columns(view, e, workflows, fleet_totals(view, e), row, at, predictions)
