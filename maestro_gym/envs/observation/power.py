"""The columns of a node as one that is started or stopped, and of how many are on (docs/autoscaling.md)."""

from __future__ import annotations

from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.scales import of_count, of_flag, of_share, of_time
from maestro_gym.scheduling.legal import may_scale
from maestro_gym.scheduling.scaling import node_state, nodes_in, nodes_on
from maestro_gym.scheduling.view import now_s, num_inbound, num_nodes, num_queued, num_running
from maestro_gym.state import NODE_DRAINING, NODE_STARTING, View

POWER = Block("power", __name__)
"""Its columns take the node, and whether the action starts it."""


@POWER.column("power_start", "flag", "starts the node")
def _start(view: View, e: int, node: int, starts: bool) -> float:
    return of_flag(starts)


@POWER.column("power_stop", "flag", "stops the node")
def _stop(view: View, e: int, node: int, starts: bool) -> float:
    return of_flag(not starts)


@POWER.column("power_draining", "flag", "it is draining")
def _draining(view: View, e: int, node: int, starts: bool) -> float:
    return of_flag(node_state(view, e, node) == NODE_DRAINING)


@POWER.column("power_starting", "flag", "it is starting")
def _starting(view: View, e: int, node: int, starts: bool) -> float:
    return of_flag(node_state(view, e, node) == NODE_STARTING)


@POWER.column("power_since", "time", "in its present state")
def _since(view: View, e: int, node: int, starts: bool) -> float:
    return of_time(now_s(view, e) - float(view.nodes[e, node].state_since_s))


@POWER.column("power_stages", "count", "stages that it has to serve")
def _stages(view: View, e: int, node: int, starts: bool) -> float:
    return of_count(float(num_queued(view, e, node) + num_inbound(view, e, node) + num_running(view, e, node)))


write_power = POWER.writer()

SCALE = Block("scale", __name__)


@SCALE.column("scale_due", "flag", "nodes may be started and stopped now")
def _due(view: View, e: int) -> float:
    return of_flag(may_scale(view, e))


@SCALE.column("scale_on", "share", "of the nodes that are on")
def _on(view: View, e: int) -> float:
    return of_share(float(nodes_on(view, e)), float(num_nodes(view)))


@SCALE.column("scale_starting", "share", "of the nodes that are starting")
def _all_starting(view: View, e: int) -> float:
    return of_share(float(nodes_in(view, e, NODE_STARTING)), float(num_nodes(view)))


@SCALE.column("scale_draining", "share", "of the nodes that are draining")
def _all_draining(view: View, e: int) -> float:
    return of_share(float(nodes_in(view, e, NODE_DRAINING)), float(num_nodes(view)))


write_scale = SCALE.writer()
