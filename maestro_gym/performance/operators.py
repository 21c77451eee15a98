"""How long the operators of one layer take: matrix products, experts, element-wise kernels, all-reduce.

Every formula is a roofline whose two sides, bytes over bandwidth and FLOPs over peak, are each slowed by an
efficiency that is fitted to measured kernels (``configs/hardware/gpus``, `maestro-gym calibrate`).
"""

from __future__ import annotations

import numpy as np

from maestro_gym.config import ArchitectureConfig, GpuConfig, MoeKernel
from maestro_gym.config.hardware import WEIGHT_BYTES_PER_PARAMETER

ACTIVATION_BYTES = 2
"""bf16."""
TILE = 128
"""Rows and columns of the tile that one multiprocessor computes: the usual one of cuBLAS and CUTLASS for bf16."""


def matmul_s(gpu: GpuConfig, tokens: np.ndarray, inputs: np.ndarray | float, outputs: np.ndarray | float) -> np.ndarray:
    """Time of one matrix product, (tokens, inputs) x (inputs, outputs), on one GPU.

    ``const + (memory^k + compute^k)^(1/k)``. Memory reads the weights. Compute goes by tiles of 128 x 128: rows are
    rounded up to tiles, and tiles to waves of one tile a multiprocessor, each in part, because libraries choose
    smaller tiles or split the sum where much would be idle (``tile_rounding``, ``wave_rounding``).

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
    architecture: ArchitectureConfig, gpu: GpuConfig, tp: int, tokens: np.ndarray, kernel: MoeKernel
) -> np.ndarray:
    """Time of one layer's router and experts.

    The experts that are active are read, and k of them are multiplied a token. Kernels differ in their efficiencies and
    in their constant: launches, and where the kernel includes them the routing and sorting of tokens.

    Args:
        architecture: What runs; has experts.
        gpu: What it runs on.
        tp: GPUs of the node; each expert is cut, none is left out.
        tokens: float64, any shape; tokens of the step.
        kernel: What the engine computes experts with.

    Returns:
        Seconds, same shape.
    """
    coefficients = gpu.step.experts.of(kernel)
    read = (active_experts(architecture, tokens) * architecture.ffn_parameters + architecture.router_parameters) / tp
    multiplied = tokens * (
        architecture.experts_per_token * architecture.ffn_parameters + architecture.router_parameters
    )
    memory_s = WEIGHT_BYTES_PER_PARAMETER * read / (gpu.hbm_bytes_per_s * coefficients.bandwidth_efficiency)
    compute_s = 2.0 * multiplied / tp / (gpu.peak_flops_per_s * coefficients.flops_efficiency)
    return coefficients.const_s + _smooth_max(memory_s, compute_s, coefficients.roofline_exponent)


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

    Queries are read and outputs written, keys and values are copied to the cache, and tiles of queries are filled up:
    ``attention_passes`` vectors of all query heads over HBM a token.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        tokens: float64, any shape; tokens of the step.

    Returns:
        Seconds, same shape.
    """
    token_bytes = ACTIVATION_BYTES * architecture.heads * architecture.head_dim / tp
    return gpu.step.attention_passes * token_bytes * tokens / gpu.hbm_bytes_per_s


def allreduce_s(gpu: GpuConfig, tp: int, num_bytes: np.ndarray) -> np.ndarray:
    """Time of one all-reduce of a node's GPUs; zero at tp 1.

    A ring sends 2*(tp-1)/tp of the bytes over each GPU's links (Patarasuk and Yuan, 2009), so one bus bandwidth
    serves every tp.

    Args:
        gpu: What it runs on.
        tp: GPUs of the node.
        num_bytes: float64, any shape; bytes that each GPU holds.

    Returns:
        Seconds, same shape.
    """
    if tp == 1:
        return np.zeros_like(num_bytes)
    return gpu.step.allreduce_const_s + 2.0 * (tp - 1) / tp * num_bytes / gpu.step.allreduce_bus_bytes_per_s


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
    """Combine the time to read a matrix with the time to multiply it, without the constant."""
    step = gpu.step
    memory_s = WEIGHT_BYTES_PER_PARAMETER * inputs * outputs / (gpu.hbm_bytes_per_s * step.linear_bandwidth_efficiency)
    rows = tokens / TILE
    rows = rows + step.tile_rounding * (np.ceil(rows) - rows)
    waves = rows * (outputs / TILE) / gpu.multiprocessors
    waves = waves + step.wave_rounding * (np.ceil(waves) - waves)
    wave_flops = 2.0 * inputs * TILE * TILE * gpu.multiprocessors
    compute_s = waves * wave_flops / (gpu.peak_flops_per_s * step.linear_flops_efficiency)
    return _smooth_max(memory_s, compute_s, step.roofline_exponent)


def _smooth_max(one: np.ndarray | float, other: np.ndarray, exponent: float) -> np.ndarray:
    """Between the sum (exponent 1) and the greater (infinite exponent) of two times."""
    return (one**exponent + other**exponent) ** (1.0 / exponent)
