"""The columns of a cluster as the goal of a stage; the MODEL and PAIR blocks beside them are of its best node."""

from __future__ import annotations

import math
from typing import NamedTuple

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.node import kv_free
from maestro_gym.envs.observation.scales import of_count, of_time
from maestro_gym.scheduling.estimates import ready_time_s
from maestro_gym.scheduling.legal import can_route
from maestro_gym.scheduling.load_signals import inbound_at, queue_wait_s, queued_at, running_at
from maestro_gym.scheduling.view import engine_status, model_of
from maestro_gym.state import ENGINE_AWAKE, View

CLUSTER = Block("cluster", __name__)


class Goal(NamedTuple):
    """A cluster that a stage may be sent to.

    Attributes:
        cluster: Its id.
        model: The model that the stage asks for.
        nodes: Number of its nodes.
        open_nodes: Number of its nodes that may take the stage.
        best: The node on which the stage would start first, the lower id on a tie; -1 when none may take it.
        start_s: Seconds until the stage would start there.
    """

    cluster: int
    model: int
    nodes: float
    open_nodes: float
    best: int
    start_s: float


@njit
def find_goal(view: View, e: int, cluster: int, stage: int, predictions: bool) -> Goal:
    """Look at the nodes of a cluster for a stage.

    Args:
        view: What a scheduler sees.
        e: The environment.
        cluster: The cluster.
        stage: The stage.
        predictions: Whether a node's start is T_ready + queue wait; it is T_ready and the number of waiting stages
            otherwise, which only ranks the nodes.
    """
    model = model_of(view, e, stage)
    nodes, open_nodes = 0.0, 0.0
    best, best_start_s = -1, math.inf
    for node in range(view.world.nodes.shape[0]):
        if int(view.world.nodes[node].cluster) != cluster:
            continue
        nodes += 1.0
        if not can_route(view, e, stage, node):
            continue
        open_nodes += 1.0
        start_s = float(ready_time_s(view, e, node, model))
        if predictions:
            start_s += queue_wait_s(view, e, node)
        else:
            start_s += float(queued_at(view, e, node)) + float(inbound_at(view, e, node))
        if start_s < best_start_s:
            best, best_start_s = node, start_s
    return Goal(cluster, model, nodes, open_nodes, best, best_start_s)


@CLUSTER.column("cluster_queue", "count", "waiting and inbound stages a node")
def _queue(view: View, e: int, goal: Goal) -> float:
    stages = 0.0
    for node in range(view.world.nodes.shape[0]):
        if int(view.world.nodes[node].cluster) == goal.cluster:
            stages += float(queued_at(view, e, node)) + float(inbound_at(view, e, node))
    return of_count(stages / goal.nodes)


@CLUSTER.column("cluster_running", "count", "admitted stages a node")
def _running(view: View, e: int, goal: Goal) -> float:
    stages = 0.0
    for node in range(view.world.nodes.shape[0]):
        if int(view.world.nodes[node].cluster) == goal.cluster:
            stages += float(running_at(view, e, node))
    return of_count(stages / goal.nodes)


@CLUSTER.column("cluster_open", "share", "of its nodes that may take the stage")
def _open(view: View, e: int, goal: Goal) -> float:
    return goal.open_nodes / goal.nodes


@CLUSTER.column("cluster_warm", "share", "of its nodes on which the model is RUNNING")
def _warm(view: View, e: int, goal: Goal) -> float:
    warm = 0.0
    for node in range(view.world.nodes.shape[0]):
        if int(view.world.nodes[node].cluster) != goal.cluster:
            continue
        if engine_status(view, e, node, goal.model) == ENGINE_AWAKE:
            warm += 1.0
    return warm / goal.nodes


@CLUSTER.column("cluster_kv_free", "share", "mean KV of its nodes that can still be reserved")
def _kv_free(view: View, e: int, goal: Goal) -> float:
    total = 0.0
    for node in range(view.world.nodes.shape[0]):
        if int(view.world.nodes[node].cluster) == goal.cluster:
            total += kv_free(view, e, node)
    return total / goal.nodes


@CLUSTER.column("cluster_start", "time", "least T_ready + queue wait of its nodes", predicted=True)
def _start(view: View, e: int, goal: Goal) -> float:
    return of_time(goal.start_s) if goal.best >= 0 else 0.0


write_cluster = CLUSTER.writer()
