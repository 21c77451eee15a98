"""How long the operators of one layer take: matrix products, experts, element-wise kernels, all-reduce.

Every formula is a roofline whose two sides, bytes over bandwidth and FLOPs over peak, are each slowed by an
efficiency that is fitted to measured kernels (``configs/hardware/gpus``, `maestro-gym calibrate`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maestro_gym.config import ArchitectureConfig, GpuConfig, MoeKernel
from maestro_gym.config.hardware import WEIGHT_BYTES_PER_PARAMETER
from maestro_gym.config.step_coefficients import AllReduceTimes, ExpertCoefficients

ACTIVATION_BYTES = 2
"""bf16."""
PARTIAL_BYTES = 4
"""fp32, in which the parts of a split sum are kept."""
FUSED_BLOCKS = (16, 64)
"""Rows of a block of vLLM's ``fused_moe`` without tuned tiles, up to and above as many tokens as experts
(``get_default_config`` of ``fused_moe.py``)."""
EVEN_WIDTH = 16
"""Widths that it divides are loaded as whole vectors: Triton specialises its kernels on them."""
SPLITS = (1, 2, 3, 4, 6, 8)
"""Parts into which a library may cut the depth of a product, so that few tiles keep all multiprocessors busy."""


def matmul_s(gpu: GpuConfig, tokens: np.ndarray, inputs: np.ndarray | float, outputs: np.ndarray | float) -> np.ndarray:
    """Time of one matrix product, (tokens, inputs) x (inputs, outputs), on one GPU.

    ``const + min over tiles and splits of ((memory^k + compute^k)^(1/k) + sums)``. Memory moves the weights, the inputs
    and the outputs. Compute goes by waves of one tile a multiprocessor, and the last tile and the last wave take as
    long as full ones. A split cuts the depth of every tile, so that there are more of them, and adds up the parts
    afterwards. A library picks the kernel that ends first, and so does the minimum. Source of the form:
    AIConfigurator's bf16 products of vLLM 0.14 on the A100, whose times stand at whole waves of 128 x 256 tiles.

    Args:
        gpu: What it runs on.
        tokens: float64, any shape; rows.
        inputs: float64, broadcast against `tokens`; depth of the sum, on this GPU.
        outputs: float64, broadcast against `tokens`; columns, on this GPU.

    Returns:
        Seconds, the broadcast shape.
    """
    return gpu.step.matmul_const_s + _roofline_s(gpu, tokens, inputs, outputs)


def linear_s(architecture: ArchitectureConfig, gpu: GpuConfig, tp: int, tokens: np.ndarray) -> np.ndarray:
    """Time of one layer's matrix products: QKV, output, and the feed-forward block unless it is MoE.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        tokens: float64, any shape; tokens of the step.

    Returns:
        Seconds, same shape.
    """
    seconds = np.zeros_like(tokens)
    for inputs, outputs in linear_shapes(architecture, tp):
        seconds = seconds + matmul_s(gpu, tokens, inputs, outputs)
    return seconds


def linear_shapes(architecture: ArchitectureConfig, tp: int) -> list[tuple[float, float]]:
    """Shapes of one layer's matrix products on one GPU: QKV, output, and the feed-forward block unless it is MoE.

    QKV and the first feed-forward matrices are cut by columns, the others by rows (Shoeybi et al., Megatron-LM,
    2019); gate and up are one product. The biases of QKV, a thousandth of it, are left out.

    Args:
        architecture: What runs.
        tp: GPUs of the node.

    Returns:
        (inputs, outputs) of each.
    """
    queries = architecture.heads * architecture.head_dim / tp
    # With fewer KV heads than GPUs each GPU keeps one whole head.
    keys = max(1.0, architecture.kv_heads / tp) * architecture.head_dim
    shapes = [(float(architecture.hidden), queries + 2.0 * keys), (queries, float(architecture.hidden))]
    if not architecture.experts:
        wide = architecture.ffn / tp
        shapes.append((float(architecture.hidden), wide * (2.0 if architecture.gated_ffn else 1.0)))
        shapes.append((wide, float(architecture.hidden)))
    return shapes


def experts_s(
    architecture: ArchitectureConfig,
    gpu: GpuConfig,
    tp: int,
    tokens: np.ndarray,
    kernel: MoeKernel,
    active: np.ndarray | None = None,
) -> np.ndarray:
    """Time of one layer's router and experts.

    The experts that are active are read, and k of them are multiplied a token, each expert's tokens in blocks of which
    the last is seldom full; each token's vectors are gathered and summed for each of its experts, and no longer stay in
    the L2 cache between two blocks where steps are large. Kernels differ in their efficiencies, their blocks and in
    their constant: launches, and where the kernel includes them the routing and sorting of tokens.

    Args:
        architecture: What runs; has experts.
        gpu: What it runs on.
        tp: GPUs of the node; each expert is cut, none is left out.
        tokens: float64, any shape; tokens of the step.
        kernel: What the engine computes experts with.
        active: float64, same shape: experts that some token chooses; None: as many as of tokens that choose evenly.

    Returns:
        Seconds, same shape.
    """
    coefficients = gpu.step.experts.of(kernel)
    chosen = tokens * architecture.experts_per_token
    if active is None:
        active = active_experts(architecture, tokens)
    read = (active * architecture.ffn_parameters + architecture.router_parameters) / tp
    rows = chosen
    if kernel == "fused":
        block = np.where(tokens <= architecture.experts, FUSED_BLOCKS[0], FUSED_BLOCKS[1])
        rows = np.maximum(active * block, chosen + active * block / 2.0)
    multiplied = rows * architecture.ffn_parameters + tokens * architecture.router_parameters
    memory_s = WEIGHT_BYTES_PER_PARAMETER * read / (gpu.hbm_bytes_per_s * coefficients.bandwidth_efficiency)
    compute_s = 2.0 * multiplied / tp / (gpu.peak_flops_per_s * coefficients.flops_efficiency)
    if _are_tuned(architecture, coefficients, tp):
        compute_s = compute_s / coefficients.tuned_flops_speedup
    moved = ACTIVATION_BYTES * chosen * (architecture.hidden + architecture.ffn / tp)
    moved_s = coefficients.token_passes * moved / gpu.hbm_bytes_per_s
    slower = np.maximum(1.0, tokens / coefficients.spill_tokens) ** coefficients.spill_exponent
    if architecture.ffn % (tp * EVEN_WIDTH):
        slower = slower * coefficients.uneven_slowdown
    products_s = _smooth_max(memory_s, compute_s, coefficients.roofline_exponent)
    return coefficients.const_s + slower * products_s + moved_s


def _are_tuned(architecture: ArchitectureConfig, coefficients: ExpertCoefficients, tp: int) -> bool:
    """Whether there are tiles tuned to this GPU for the experts of a layer.

    vLLM ships them for some numbers and widths of experts, and runs the others with those of ``get_default_config``.
    """
    return any(
        (shape.experts, shape.ffn * tp) == (architecture.experts, architecture.ffn) for shape in coefficients.tuned
    )


def active_experts(architecture: ArchitectureConfig, tokens: np.ndarray) -> np.ndarray:
    """Experts of a layer that some token chooses: of E, chosen k a token evenly, E*(1-(1-k/E)^n) in expectation.

    Args:
        architecture: What runs; has experts.
        tokens: float64, any shape; n.

    Returns:
        Experts, same shape.
    """
    share = architecture.experts_per_token / architecture.experts
    return architecture.experts * (1.0 - (1.0 - share) ** tokens)


def elementwise_s(architecture: ArchitectureConfig, gpu: GpuConfig, tp: int, tokens: np.ndarray) -> np.ndarray:
    """Time of one layer's norms, rotary embedding, activation and residual additions.

    They move bytes: two norms read and write the hidden state, two additions read it twice and write it; the rotary
    embedding reads and writes queries and keys, the activation reads two and writes one feed-forward vector, and
    these two are cut by tp. A token is one multiprocessor's work, so even a single one takes launches and the bytes of
    a token at that multiprocessor's share of the bandwidth.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        tokens: float64, any shape; tokens of the step.

    Returns:
        Seconds, same shape.
    """
    step = gpu.step
    rotary = 2.0 * (architecture.heads + architecture.kv_heads) * architecture.head_dim
    activated = max(1, architecture.experts_per_token) * architecture.ffn * (3.0 if architecture.gated_ffn else 2.0)
    values = 10.0 * architecture.hidden + (rotary + activated) / tp
    token_s = ACTIVATION_BYTES * values / (gpu.hbm_bytes_per_s * step.elementwise_bandwidth_efficiency)
    least_s = step.elementwise_const_s + token_s * gpu.multiprocessors
    return _smooth_max(np.full_like(tokens, least_s), token_s * tokens, step.elementwise_exponent)


def attention_token_s(architecture: ArchitectureConfig, gpu: GpuConfig, tp: int, tokens: np.ndarray) -> np.ndarray:
    """Time of one layer's attention that grows with tokens and not with their context.

    Queries are read and outputs written, keys and values are copied to the cache and read again, and tiles of queries
    are filled up: ``attention_passes`` vectors of all query heads and ``attention_kv_passes`` of all KV heads over HBM
    a token.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        tokens: float64, any shape; tokens of the step.

    Returns:
        Seconds, same shape.
    """
    # With fewer KV heads than GPUs each GPU keeps one whole head.
    kv_heads = max(1.0, architecture.kv_heads / tp)
    vectors = gpu.step.attention_passes * architecture.heads / tp + gpu.step.attention_kv_passes * kv_heads
    return ACTIVATION_BYTES * vectors * architecture.head_dim * tokens / gpu.hbm_bytes_per_s


def allreduce_s(gpu: GpuConfig, tp: int, num_bytes: np.ndarray) -> np.ndarray:
    """Time of one all-reduce of a node's GPUs; zero at tp 1.

    Where all-reduces were measured, the times are interpolated, in logarithms, between their sizes and between their
    GPUs: vLLM changes from one exchange to two as messages grow, and to NCCL above 8 MiB, each with a slope of its own
    (``csrc/custom_all_reduce.cuh``). Beyond the largest size the bandwidth stays. Elsewhere a ring sends 2*(tp-1)/tp of
    the bytes over each GPU's links (Patarasuk and Yuan, 2009), so one bus bandwidth serves every tp.

    Args:
        gpu: What it runs on.
        tp: GPUs of the node.
        num_bytes: float64, any shape; bytes that each GPU holds.

    Returns:
        Seconds, same shape.
    """
    if tp == 1:
        return np.zeros_like(num_bytes)
    if gpu.step.allreduce:
        return _measured_allreduce_s(gpu.step.allreduce, tp, num_bytes)
    return gpu.step.allreduce_const_s + 2.0 * (tp - 1) / tp * num_bytes / gpu.step.allreduce_bus_bytes_per_s


def _measured_allreduce_s(measured: Sequence[AllReduceTimes], tp: int, num_bytes: np.ndarray) -> np.ndarray:
    """Interpolate between sizes, then between GPUs; beyond the measured GPUs, as a ring would differ."""
    tables = sorted(measured, key=lambda table: table.tp)
    rows = []
    for table in tables:
        sizes, seconds = np.array(table.num_bytes), np.array(table.seconds)
        inside = np.clip(num_bytes, sizes[0], sizes[-1])
        between = np.interp(np.log(inside), np.log(sizes), np.log(seconds))
        rows.append(between + np.log(np.maximum(num_bytes, sizes[-1]) / sizes[-1]))
    gpus = [table.tp for table in tables]
    place = float(np.clip(np.interp(np.log(tp), np.log(gpus), np.arange(len(gpus))), 0, len(gpus) - 1))
    low = min(int(place), max(0, len(gpus) - 2))
    high = min(low + 1, len(gpus) - 1)
    seconds = np.exp(rows[low] + (place - low) * (rows[high] - rows[low]))
    nearest = min(max(tp, gpus[0]), gpus[-1])
    return seconds * ((1.0 - 1.0 / tp) / (1.0 - 1.0 / nearest))


def lmhead_s(architecture: ArchitectureConfig, gpu: GpuConfig, tp: int, sequences: np.ndarray) -> np.ndarray:
    """Time of the output matrix, cut by columns; its launch is in the step's constant.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        sequences: float64, any shape; sequences that sample a token.

    Returns:
        Seconds, same shape.
    """
    return _roofline_s(gpu, sequences, float(architecture.hidden), architecture.vocab / tp)


def _roofline_s(
    gpu: GpuConfig, tokens: np.ndarray, inputs: np.ndarray | float, outputs: np.ndarray | float
) -> np.ndarray:
    """Time of the kernel that ends first, without the constant."""
    step = gpu.step
    moved = WEIGHT_BYTES_PER_PARAMETER * inputs * outputs + ACTIVATION_BYTES * tokens * (inputs + outputs)
    memory_s = moved / (gpu.hbm_bytes_per_s * step.linear_bandwidth_efficiency)
    sums_s = step.split_passes * PARTIAL_BYTES * tokens * outputs / gpu.hbm_bytes_per_s
    best = np.full(np.broadcast_shapes(np.shape(tokens), np.shape(inputs), np.shape(outputs)), np.inf)
    for tile in step.tiles.kinds:
        tiles = np.ceil(tokens / tile.rows) * np.ceil(outputs / tile.columns)
        flops_per_s = gpu.peak_flops_per_s * step.linear_flops_efficiency * tile.efficiency
        tile_s = 2.0 * tile.rows * tile.columns * gpu.multiprocessors / flops_per_s
        for split in SPLITS:
            waves = np.ceil(tiles * split / gpu.multiprocessors)
            compute_s = waves * (tile_s * inputs / split + step.wave_s)
            kernel_s = _smooth_max(memory_s, compute_s, step.roofline_exponent)
            best = np.minimum(best, kernel_s + (split * sums_s if split > 1 else 0.0))
    return best


def _smooth_max(one: np.ndarray | float, other: np.ndarray, exponent: float) -> np.ndarray:
    """Between the sum (exponent 1) and the greater (infinite exponent) of two times."""
    return (one**exponent + other**exponent) ** (1.0 / exponent)
