"""Integer codes of the actions of the three tiers: the one place that makes and reads them.

Global, with C clusters and S stages: ``0`` waits, ``1 + stage * C + cluster`` sends a stage to a cluster,
``1 + S * C + stage`` rejects the workflow of a stage, ``1 + S * C + S + node`` starts a node, the N codes behind stop
one. Whose call gets a tool: the stage. Cluster: the node id.
Node, with Q queue places, R reservation levels and M models: ``0`` waits, then R codes for each queue place admit its
stage, M codes promote a model, M codes demote one; where GPUs may be regrouped the code ``p`` behind them makes groups
of p. What becomes of a context: ``LEAVE``, ``DROP``, ``OFFLOAD``, ``HOLD`` and milliseconds.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.state import NUM_RESERVE_LEVELS, View

WAIT = 0
"""Action of the global and of the node tier that does nothing for now."""

ACT_NONE, ACT_WAIT, ACT_ADMIT, ACT_PROMOTE, ACT_DEMOTE, ACT_REGROUP = range(6)
"""Kinds of node action; ``ACT_NONE`` is a number that no action has."""

ACT_NAMES = ("none", "wait", "admit", "promote", "demote", "regroup")

MOST_GPUS = 64
"""Most GPUs of a node."""


@njit
def send_code(view: View, stage: int, cluster: int) -> int:
    """Global action that sends ``stage`` to ``cluster``."""
    return 1 + stage * view.world.latency_s.shape[0] + cluster


@njit
def sent_stage(view: View, code: int) -> int:
    """Stage that a global action sends; the action must be a send."""
    return (code - 1) // view.world.latency_s.shape[0]


@njit
def sent_cluster(view: View, code: int) -> int:
    """Cluster that a global action sends its stage to; the action must be a send."""
    return (code - 1) % view.world.latency_s.shape[0]


@njit
def reject_code(view: View, stage: int) -> int:
    """Global action that turns the workflow of ``stage`` away."""
    return 1 + view.stages.shape[1] * view.world.latency_s.shape[0] + stage


@njit
def is_reject(view: View, code: int) -> bool:
    """Whether a global action turns a workflow away."""
    stages = view.stages.shape[1]
    return 0 < code - stages * view.world.latency_s.shape[0] <= stages


@njit
def start_code(view: View, node: int) -> int:
    """Global action that starts a node, or calls back one that drains."""
    return 1 + view.stages.shape[1] * (view.world.latency_s.shape[0] + 1) + node


@njit
def stop_code(view: View, node: int) -> int:
    """Global action that stops a node."""
    return start_code(view, view.world.nodes.shape[0] + node)


@njit
def is_scaling(view: View, code: int) -> bool:
    """Whether a global action starts or stops a node."""
    return code >= start_code(view, 0)


@njit
def scaled_node(view: View, code: int) -> tuple[int, bool]:
    """Node of a global action that `is_scaling`, and whether it is started; a node of no action is -1."""
    nodes = view.world.nodes.shape[0]
    place = code - start_code(view, 0)
    if place >= 2 * nodes:
        return -1, False
    return place % nodes, place < nodes


@njit
def rejected_stage(view: View, code: int) -> int:
    """Stage by which a global action that `is_reject` names its workflow."""
    return code - 1 - view.stages.shape[1] * view.world.latency_s.shape[0]


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
def regroup_code(view: View, gpus: int) -> int:
    """Node action that groups the GPUs of the node's board by ``gpus``."""
    return demote_code(view, view.world.models.shape[0] - 1) + gpus


@njit
def node_act(view: View, code: int) -> tuple[int, int, int]:
    """What a node action does.

    Returns:
        ``(kind, subject, level)``: one of ``ACT_*``; the queue place of an admission, the model of a promotion or
        demotion, or the GPUs of a group, -1 otherwise; the reservation level of an admission, -1 otherwise.
    """
    admits = view.node_queue.shape[2] * NUM_RESERVE_LEVELS
    models = view.world.models.shape[0]
    if code == WAIT:
        return ACT_WAIT, -1, -1
    if code < 0 or code > admits + 2 * models + (MOST_GPUS if view.world.boards.shape[0] > 0 else 0):
        return ACT_NONE, -1, -1
    if code > admits + 2 * models:
        return ACT_REGROUP, code - admits - 2 * models, -1
    if code <= admits:
        return ACT_ADMIT, (code - 1) // NUM_RESERVE_LEVELS, (code - 1) % NUM_RESERVE_LEVELS
    if code <= admits + models:
        return ACT_PROMOTE, code - 1 - admits, -1
    return ACT_DEMOTE, code - 1 - admits - models, -1


LEAVE, DROP, OFFLOAD, HOLD = range(4)
"""Codes of what becomes of a context: it stays while nobody needs the room, it goes at once, it goes to the memory of
the host, it is held for a time."""

LONGEST_HOLD_S = 1e9
"""What a code of ``HOLD`` can say; the scenario's limit is shorter."""


@njit
def hold_code(hold_s: float) -> int:
    """Code that holds a context for so many seconds; it is left in the cache where that is no time at all."""
    if hold_s <= 0.0:
        return LEAVE
    return HOLD + int(min(hold_s, LONGEST_HOLD_S) * 1000.0)


@njit
def held_s(code: int) -> float:
    """Seconds for which a code of ``HOLD`` or more holds a context."""
    return (code - HOLD) / 1000.0


def num_global_actions(window: int, clusters: int) -> int:
    """Actions of a global tier that is shown ``window`` stages: to wait, or to send one of them to a cluster."""
    return 1 + window * clusters


def num_node_actions(queue_places: int, models: int) -> int:
    """Number of node action codes: to wait, to admit a queue place at a level, to promote or demote a model."""
    return 1 + queue_places * NUM_RESERVE_LEVELS + 2 * models
