"""Measured experts of MoE layers, and the constants of the kernels that computed them."""

from __future__ import annotations

import numpy as np

from maestro_gym.config import ArchitectureConfig, MoeKernel
from maestro_gym.config.hardware import ExpertCoefficients
from maestro_gym.fidelity.frames import Table
from maestro_gym.fidelity.points import Reading
from maestro_gym.performance.operators import experts_s


def expert_constants(kernel: MoeKernel) -> tuple[str, ...]:
    """Dotted names of the constants that timings of one kind of kernels tell; grouped products move no tokens.

    Args:
        kernel: What was measured.
    """
    told = set(ExpertCoefficients.model_fields) - ({"token_passes"} if kernel == "grouped" else set())
    return tuple(f"gpu.step.experts.{kernel}.{name}" for name in ExpertCoefficients.model_fields if name in told)


def moe_layer(hidden: int, ffn: int, experts: int, chosen: int, gated: bool = True) -> ArchitectureConfig:
    """One MoE layer as an architecture; its attention is not asked for.

    Args:
        hidden: Width of the residual stream.
        ffn: Inner width of one expert.
        experts: Experts of the layer.
        chosen: Experts that compute a token.
        gated: Three matrices an expert rather than two.

    Returns:
        The architecture.
    """
    return ArchitectureConfig(
        layers=1,
        hidden=hidden,
        heads=1,
        kv_heads=1,
        head_dim=1,
        ffn=ffn,
        vocab=1,
        max_model_len=1,
        gated_ffn=gated,
        experts=experts,
        experts_per_token=chosen,
    )


def add_experts(
    reading: Reading,
    quantity: str,
    case: str,
    gpu: str,
    measured_s: np.ndarray,
    layer: ArchitectureConfig,
    tp: int,
    tokens: np.ndarray,
    kernel: MoeKernel,
) -> None:
    """Add the timings of one MoE layer.

    Args:
        reading: What takes them.
        quantity: Heading of their table.
        case: Model and TP.
        gpu: Name in the catalogue.
        measured_s: float64, shape (n,), in seconds.
        layer: From `moe_layer`.
        tp: GPUs of the node.
        tokens: float64, shape (n,).
        kernel: What was measured.
    """
    reading.add(
        quantity,
        case,
        gpu,
        measured_s,
        lambda on: experts_s(layer, on.gpu, tp, tokens, kernel),
        lambda i: f"{case}, {tokens[i]:.0f} tokens",
    )


def with_whole_experts(reading: Reading, table: Table, column: str) -> Table:
    """Rows of a MoE table without expert parallelism; the others are counted as skipped.

    Args:
        reading: What counts them.
        table: The measurements.
        column: Its degree of expert parallelism.
    """
    (parts,) = table.integers(column)
    if np.any(parts != 1):
        reading.skip("MoE with expert parallelism", int(np.sum(parts != 1)), "experts are cut, not spread")
    return table.where(parts == 1)
