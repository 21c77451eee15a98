"""The columns of a model on a node.

The first six are one-hot: three states of its engine and, where it has none, three places of its weights.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.node import pool_bytes
from maestro_gym.envs.observation.scales import of_count, of_flag, of_share, of_time
from maestro_gym.scheduling.estimates import ready_time_s
from maestro_gym.scheduling.sizes import weight_bytes
from maestro_gym.scheduling.view import engine_status
from maestro_gym.state import CPU, DISK, ENGINE_AWAKE, ENGINE_FREE, ENGINE_LOADING, View

MODEL = Block("model", __name__)

_NONE = -1


@njit
def _engine_status(view: View, e: int, node: int, model: int) -> int:
    """Status of the model's engine on the node (ENGINE_*) as far as is known, -1 when it has none."""
    status = engine_status(view, e, node, model)
    return status if status != ENGINE_FREE else _NONE


@njit
def _host_tier(view: View, e: int, node: int, model: int) -> int:
    """Where the weights of a model without an engine lie: CPU, DISK or REMOTE; -1 when it has an engine."""
    if _engine_status(view, e, node, model) != _NONE:
        return _NONE
    return int(view.host_models[e, int(view.world.nodes[node].host), model].tier)


@MODEL.column("model_awake", "flag", "RUNNING")
def _awake(view: View, e: int, node: int, model: int) -> float:
    return of_flag(_engine_status(view, e, node, model) == ENGINE_AWAKE)


@MODEL.column("model_loading", "flag", "loading")
def _loading(view: View, e: int, node: int, model: int) -> float:
    return of_flag(_engine_status(view, e, node, model) == ENGINE_LOADING)


@MODEL.column("model_asleep", "flag", "SLEEPING")
def _asleep(view: View, e: int, node: int, model: int) -> float:
    status = _engine_status(view, e, node, model)
    return of_flag(status not in (_NONE, ENGINE_AWAKE, ENGINE_LOADING))


@MODEL.column("model_cpu", "flag", "weights in the host's DRAM, no engine")
def _cpu(view: View, e: int, node: int, model: int) -> float:
    return of_flag(_host_tier(view, e, node, model) == CPU)


@MODEL.column("model_disk", "flag", "weights on NVMe")
def _disk(view: View, e: int, node: int, model: int) -> float:
    return of_flag(_host_tier(view, e, node, model) == DISK)


@MODEL.column("model_remote", "flag", "weights not on the host")
def _remote(view: View, e: int, node: int, model: int) -> float:
    return of_flag(_host_tier(view, e, node, model) not in (_NONE, CPU, DISK))


@MODEL.column("model_ready", "time", "T_ready: until it can serve there")
def _ready(view: View, e: int, node: int, model: int) -> float:
    return of_time(ready_time_s(view, e, node, model))


@MODEL.column("model_batch", "share", "of max_num_seqs that its engine runs")
def _batch(view: View, e: int, node: int, model: int) -> float:
    slot = int(view.slot_of[e, node, model])
    running = float(view.engines[e, node, slot].running) if slot >= 0 else 0.0
    return of_share(running, float(view.world.params[0].max_num_seqs))


@MODEL.column("model_queued", "count", "stages sent to the node that wait for it")
def _queued(view: View, e: int, node: int, model: int) -> float:
    return of_count(float(view.waiting[e, node, model]))


@MODEL.column("model_weights", "share", "of usable HBM that its weights take")
def _weights(view: View, e: int, node: int, model: int) -> float:
    return of_share(weight_bytes(view, node, model), pool_bytes(view, node))


write_model = MODEL.writer()
