"""How long a promotion takes, from its costs and bytes: the formulas that the engine and the fidelity check share.

docs/physics.md, "Residency" has them together, with the constants and their sources.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.sizes import kv_bytes, weight_bytes
from maestro_gym.state import DISK, View


@njit
def copy_time_s(base_s: float, num_bytes: float, bytes_per_s: float) -> float:
    """Seconds to wake a SLEEPING model, or to put a RUNNING one to sleep: a fixed part and one copy of its weights.

    Source of the form: the sleep-mode measurements of vLLM 0.11 (on A100 0.2 s + GB/22 for a wake, 0.03 s + GB/22 for
    going to sleep).

    Args:
        base_s: Fixed part [s].
        num_bytes: Weight bytes on each GPU.
        bytes_per_s: Between host and GPU over PCIe, each GPU alone.

    Returns:
        Seconds.
    """
    return base_s + num_bytes / bytes_per_s


@njit
def start_time_s(base_s: float, s_per_byte: float, num_bytes: float, s_per_layer: float, layers: float) -> float:
    """Seconds to start an engine whose weights are in the page cache.

    Source of the form: the start-up profile of vLLM 0.10.1 (22.3 s + 0.70 s/GB + 0.44 s/layer on A100).

    Args:
        base_s: Process, imports, communicators [s].
        s_per_byte: Reading, converting and copying weights [s/byte].
        num_bytes: Weight bytes on each GPU.
        s_per_layer: Tracing, loading compiled code and capturing graphs, a layer [s].
        layers: Layers of the model.

    Returns:
        Seconds.
    """
    return base_s + s_per_byte * num_bytes + s_per_layer * layers


@njit
def read_time_s(num_bytes: float, bytes_per_s: float) -> float:
    """Seconds to bring weights from disk or network to the page cache.

    Args:
        num_bytes: Weight bytes of the whole model.
        bytes_per_s: Of the disk or the network.

    Returns:
        Seconds.
    """
    return num_bytes / bytes_per_s


@njit
def wake_s(view: View, node: int, model: int) -> float:
    """Seconds to wake a SLEEPING model, nothing else loading: about 0.2 + GB/22 on an A100-80GB."""
    return copy_time_s(view.world.params[0].wake_base_s, weight_bytes(view, node, model), _pcie_bytes_per_s(view, node))


@njit
def sleep_s(view: View, node: int, model: int) -> float:
    """Seconds to put a RUNNING model to sleep, nothing else loading: about 0.03 + GB/22 on an A100-80GB."""
    return copy_time_s(
        view.world.params[0].sleep_base_s, weight_bytes(view, node, model), _pcie_bytes_per_s(view, node)
    )


@njit
def kv_copy_s(view: View, node: int, model: int, tokens: int) -> float:
    """Seconds to copy the KV of tokens between the memory of a host and the GPUs of a node, nothing else copying."""
    return copy_time_s(0.0, tokens * kv_bytes(view, node, model), _pcie_bytes_per_s(view, node))


@njit
def carried_bytes(view: View, e: int, stage: int) -> float:
    """KV of a stage that the node on which it was prefilled hands over, of all its GPUs."""
    record = view.stages[e, stage]
    one_gpu_bytes = record.kv_tokens * kv_bytes(view, int(record.node), int(record.model))
    return one_gpu_bytes * view.world.nodes[record.node].gpus


@njit
def carry_s(view: View, e: int, stage: int, target: int) -> float:
    """Seconds until the KV of a stage that was handed over is at another node, with the link to itself.

    Bytes of all GPUs over the bandwidth between the two clusters, and its latency (docs/disaggregation.md).
    """
    world = view.world
    here, there = world.nodes[view.stages[e, stage].node].cluster, world.nodes[target].cluster
    return float(world.latency_s[here, there] + carried_bytes(view, e, stage) / world.bytes_per_s[here, there])


@njit
def _pcie_bytes_per_s(view: View, node: int) -> float:
    """What each GPU of a node gets while all of them copy."""
    host = view.world.hosts[view.world.nodes[node].host]
    return min(host.pcie_gpu_bytes_per_s, host.pcie_host_bytes_per_s / view.world.nodes[node].gpus)


@njit
def start_s(view: View, node: int, model: int) -> float:
    """Seconds to start an engine whose weights are in the page cache."""
    world = view.world
    perf = world.perf[world.nodes[node].hardware, world.models[model].arch]
    params = world.params[0]
    return start_time_s(
        params.cpu_base_s, params.cpu_s_per_byte, perf.weight_bytes, params.cpu_s_per_layer, perf.layers
    )


@njit
def load_s(view: View, node: int, model: int, tier: int) -> float:
    """Seconds to load a model from CPU, DISK or REMOTE, nothing else loading."""
    world = view.world
    host = world.hosts[world.nodes[node].host]
    total_bytes = weight_bytes(view, node, model) * world.nodes[node].gpus
    seconds = start_s(view, node, model)
    if tier <= DISK:
        seconds += read_time_s(total_bytes, host.nvme_bytes_per_s)
    if tier < DISK:
        seconds += read_time_s(total_bytes, host.nic_bytes_per_s)
    return seconds
