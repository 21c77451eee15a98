"""The columns of the whole fleet, the first of every context."""

from __future__ import annotations

from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.node import engines_in, kv_free, kv_reserved, weights
from maestro_gym.envs.observation.scales import of_count, of_flag, of_time
from maestro_gym.scheduling.legal import node_has_room
from maestro_gym.scheduling.load_signals import queue_wait_s
from maestro_gym.state import ENGINE_AWAKE, ENGINE_LOADING, View

FLEET = Block("fleet", __name__)
"""Its columns take the number of workflows in the system, which have arrived and not finished."""


@FLEET.column("fleet_ready", "count", "stages in the global queue")
def _ready(view: View, e: int, workflows: int) -> float:
    return of_count(float(view.clock[e].global_len))


@FLEET.column("fleet_oldest", "time", "longest wait in the global queue")
def _oldest(view: View, e: int, workflows: int) -> float:
    oldest_s = 0.0
    if int(view.clock[e].global_len) > 0:
        oldest_s = float(view.clock[e].now_s) - float(view.stages[e, int(view.global_queue[e, 0])].ready_s)
    return of_time(oldest_s)


@FLEET.column("fleet_workflows", "count", "workflows in the system")
def _workflows(view: View, e: int, workflows: int) -> float:
    return of_count(float(workflows))


@FLEET.column("fleet_queued", "count", "stages in node queues")
def _queued(view: View, e: int, workflows: int) -> float:
    stages = 0.0
    for node in range(view.world.nodes.shape[0]):
        stages += float(view.nodes[e, node].queue_len)
    return of_count(stages)


@FLEET.column("fleet_inbound", "count", "stages on the way to nodes")
def _inbound(view: View, e: int, workflows: int) -> float:
    stages = 0.0
    for node in range(view.world.nodes.shape[0]):
        stages += float(view.nodes[e, node].inbound)
    return of_count(stages)


@FLEET.column("fleet_running", "count", "admitted stages")
def _running(view: View, e: int, workflows: int) -> float:
    stages = 0.0
    for node in range(view.world.nodes.shape[0]):
        stages += float(view.nodes[e, node].running)
    return of_count(stages)


@FLEET.column("fleet_open", "share", "of nodes whose queue has a free place")
def _open(view: View, e: int, workflows: int) -> float:
    nodes, open_nodes = view.world.nodes.shape[0], 0.0
    for node in range(nodes):
        open_nodes += of_flag(node_has_room(view, e, node))
    return open_nodes / nodes


@FLEET.column("fleet_kv_free", "share", "mean over nodes of node_kv_free")
def _kv_free(view: View, e: int, workflows: int) -> float:
    nodes, total = view.world.nodes.shape[0], 0.0
    for node in range(nodes):
        total += kv_free(view, e, node)
    return total / nodes


@FLEET.column("fleet_kv_reserved", "share", "mean over nodes of node_kv_reserved")
def _kv_reserved(view: View, e: int, workflows: int) -> float:
    nodes, total = view.world.nodes.shape[0], 0.0
    for node in range(nodes):
        total += kv_reserved(view, e, node)
    return total / nodes


@FLEET.column("fleet_weights", "share", "mean over nodes of node_weights")
def _weights(view: View, e: int, workflows: int) -> float:
    nodes, total = view.world.nodes.shape[0], 0.0
    for node in range(nodes):
        total += weights(view, e, node)
    return total / nodes


@FLEET.column("fleet_awake", "count", "RUNNING models a node")
def _awake(view: View, e: int, workflows: int) -> float:
    nodes, engines = view.world.nodes.shape[0], 0.0
    for node in range(nodes):
        engines += engines_in(view, e, node, ENGINE_AWAKE)
    return of_count(engines / nodes)


@FLEET.column("fleet_loading", "count", "loading models a node")
def _loading(view: View, e: int, workflows: int) -> float:
    nodes, engines = view.world.nodes.shape[0], 0.0
    for node in range(nodes):
        engines += engines_in(view, e, node, ENGINE_LOADING)
    return of_count(engines / nodes)


@FLEET.column("fleet_wait_legal", "flag", "the decision may be to wait")
def _wait_legal(view: View, e: int, workflows: int) -> float:
    return of_flag(int(view.clock[e].wait_legal) == 1)


@FLEET.column("fleet_queue_wait", "time", "mean over nodes of the time to drain", predicted=True)
def _queue_wait(view: View, e: int, workflows: int) -> float:
    nodes, total_s = view.world.nodes.shape[0], 0.0
    for node in range(nodes):
        total_s += queue_wait_s(view, e, node)
    return of_time(total_s / nodes)


write_fleet = FLEET.writer()
