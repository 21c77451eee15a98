"""How long a promotion takes, from its costs and bytes: the formulas that the engine and the fidelity check share."""

from __future__ import annotations

from maestro_gym.core.compile import njit


@njit
def wake_time_s(base_s: float, num_bytes: float, bytes_per_s: float) -> float:
    """Seconds to wake a SLEEPING model: a fixed part and one copy of its weights over PCIe.

    Source of the form: the sleep-mode measurements of vLLM 0.11 (0.2 s + GB/21 on A100).

    Args:
        base_s: Fixed part [s].
        num_bytes: Weight bytes on each GPU.
        bytes_per_s: Host to GPU, each GPU alone.

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
