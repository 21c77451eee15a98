"""Nodes in turn, and clusters in turn (textbook). The turn is kept in the policy's own notes, ``view.memory``."""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.legal import can_route, can_send
from maestro_gym.scheduling.rules import OPEN, Routing
from maestro_gym.scheduling.view import cluster_of, num_nodes
from maestro_gym.state import View

_CLUSTER_NOTE: Final = 0
"""Place of the turn of clusters: one more than the cluster chosen last, so that an episode begins with the first."""

_NODE_NOTES: Final = 32
"""First place of the turns of nodes, one for each cluster; there are 32."""


@njit
def next_cluster(view: View, e: int, stage: int, gate: int) -> int:
    """Next cluster in turn that can take a stage; the note moves on to it."""
    num_clusters = view.world.latency_s.shape[0]
    start = int(view.memory[e, _CLUSTER_NOTE])
    for step in range(num_clusters):
        cluster = (start + step) % num_clusters
        if can_send(view, e, stage, cluster):
            view.memory[e, _CLUSTER_NOTE] = float(cluster + 1)
            return cluster
    return -1


@njit
def next_node(view: View, e: int, stage: int, cluster: int, gate: int) -> int:
    """Next node in turn of a cluster that can take a stage; the note moves on to it."""
    note = _NODE_NOTES + cluster % 32
    start = int(view.memory[e, note])
    for step in range(num_nodes(view)):
        node = (start + step) % num_nodes(view)
        if cluster_of(view, node) == cluster and can_route(view, e, stage, node):
            view.memory[e, note] = float(node + 1)
            return node
    return -1


RULE = Routing(
    gate=OPEN,
    node=next_node,
    cluster=next_cluster,
    name="round-robin",
    information="N",
    description="nodes in turn",
    source="textbook",
)
