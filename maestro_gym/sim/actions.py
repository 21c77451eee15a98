"""Integer codes of the actions of the three tiers.

Global: ``0`` waits, ``1 + stage * C + cluster`` sends a stage to a cluster. Cluster: the node's id.
Node, with Q queue places, R reservation levels and M models: ``0`` waits, then R codes a queue
place to admit it, M to promote a model, M to demote one.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.schema import NUM_RESERVE_LEVELS, View

WAIT = 0


@njit
def send_code(view: View, stage: int, cluster: int) -> int:
    """Global action that sends ``stage`` to ``cluster``."""
    return 1 + stage * view.world.latency_s.shape[0] + cluster


@njit
def admit_code(view: View, queue_index: int, level: int) -> int:
    """Node action that admits the stage at ``queue_index`` at reservation level ``level``."""
    return 1 + queue_index * NUM_RESERVE_LEVELS + level


@njit
def promote_code(view: View, model: int) -> int:
    """Node action that makes ``model`` RUNNING on the node."""
    return 1 + view.node_queue.shape[2] * NUM_RESERVE_LEVELS + model


@njit
def demote_code(view: View, model: int) -> int:
    """Node action that moves ``model`` one residency tier down."""
    return 1 + view.node_queue.shape[2] * NUM_RESERVE_LEVELS + view.world.models.shape[0] + model


@njit
def num_node_actions(view: View) -> int:
    """Number of node action codes."""
    return 1 + view.node_queue.shape[2] * NUM_RESERVE_LEVELS + 2 * view.world.models.shape[0]
