"""The columns of a node."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.scales import of_count, of_share, of_time
from maestro_gym.scheduling.load_signals import inbound_at, kv_used_at_bytes, queue_wait_s, queued_at, running_at
from maestro_gym.state import ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_LOADING, View

NODE = Block("node", __name__)


@njit
def pool_bytes(view: View, node: int) -> float:
    """Usable HBM of a node."""
    return float(view.world.nodes[node].hbm_pool_bytes)


@njit
def engines_in(view: View, e: int, node: int, status: int) -> float:
    """Number of a node's engine slots that have a status (ENGINE_*)."""
    count = 0.0
    for slot in range(view.engines.shape[2]):
        if int(view.engines[e, node, slot].status) == status:
            count += 1.0
    return count


@NODE.column("node_queue", "count", "stages in its queue")
def _queue(view: View, e: int, node: int) -> float:
    return of_count(float(queued_at(view, e, node)))


@NODE.column("node_inbound", "count", "stages on the way to it")
def _inbound(view: View, e: int, node: int) -> float:
    return of_count(float(inbound_at(view, e, node)))


@NODE.column("node_running", "count", "admitted stages")
def _running(view: View, e: int, node: int) -> float:
    return of_count(float(running_at(view, e, node)))


@NODE.column("node_room", "share", "of its queue places that are free")
def _room(view: View, e: int, node: int) -> float:
    taken = float(queued_at(view, e, node)) + float(inbound_at(view, e, node))
    return 1.0 - of_share(taken, float(view.world.params[0].node_queue_limit))


@NODE.column("node_kv_free", "share", "of usable HBM: KV that can still be reserved")
def kv_free(view: View, e: int, node: int) -> float:
    """Value of the column; the fleet and a cluster show its mean."""
    record = view.nodes[e, node]
    return of_share(float(record.kv_pool_bytes) - float(record.kv_reserved_bytes), pool_bytes(view, node))


@NODE.column("node_kv_reserved", "share", "of usable HBM: reserved KV")
def kv_reserved(view: View, e: int, node: int) -> float:
    """Value of the column; the fleet shows its mean."""
    return of_share(float(view.nodes[e, node].kv_reserved_bytes), pool_bytes(view, node))


@NODE.column("node_kv_used", "share", "of usable HBM: mapped KV blocks")
def _kv_used(view: View, e: int, node: int) -> float:
    return of_share(kv_used_at_bytes(view, e, node), pool_bytes(view, node))


@NODE.column("node_kv_cached", "share", "of usable HBM: unreferenced prefix blocks")
def _kv_cached(view: View, e: int, node: int) -> float:
    return of_share(float(view.nodes[e, node].kv_cached_bytes), pool_bytes(view, node))


@NODE.column("node_kv_virtual", "share", "of the overcommit cap: granted address space")
def _kv_virtual(view: View, e: int, node: int) -> float:
    cap_bytes = float(view.world.params[0].kv_virtual_cap) * pool_bytes(view, node)
    return of_share(float(view.nodes[e, node].kv_virtual_bytes), cap_bytes)


@NODE.column("node_weights", "share", "of usable HBM: weights, margins and residue of sleepers")
def weights(view: View, e: int, node: int) -> float:
    """Value of the column; the fleet shows its mean."""
    return of_share(float(view.nodes[e, node].weights_bytes), pool_bytes(view, node))


@NODE.column("node_rho", "rho", "margin of adaptive reservations")
def _rho(view: View, e: int, node: int) -> float:
    return of_share(float(view.nodes[e, node].rho), 1.0)


@NODE.column("node_awake", "share", "of its engine slots that are RUNNING")
def _awake(view: View, e: int, node: int) -> float:
    return engines_in(view, e, node, ENGINE_AWAKE) / view.engines.shape[2]


@NODE.column("node_loading", "share", "of its engine slots that are loading")
def _loading(view: View, e: int, node: int) -> float:
    return engines_in(view, e, node, ENGINE_LOADING) / view.engines.shape[2]


@NODE.column("node_asleep", "share", "of its engine slots that are SLEEPING")
def _asleep(view: View, e: int, node: int) -> float:
    return engines_in(view, e, node, ENGINE_ASLEEP) / view.engines.shape[2]


@NODE.column("node_queue_wait", "time", "to drain what it has", predicted=True)
def _queue_wait(view: View, e: int, node: int) -> float:
    return of_time(queue_wait_s(view, e, node))


write_node = NODE.writer()
