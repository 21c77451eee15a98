"""Measured experts of MoE layers, and the constants of the kernels that computed them."""

from __future__ import annotations

import re

import numpy as np

from maestro_gym.config import ArchitectureConfig, MoeKernel
from maestro_gym.config.step_coefficients import ExpertCoefficients
from maestro_gym.fidelity.frames import Table
from maestro_gym.fidelity.points import Reading
from maestro_gym.performance.operators import active_experts, experts_s

_POWER_LAW = re.compile(r"power_law_(\d+(?:\.\d+)?)")
_LARGEST_SHARE = 0.8
_DRAWS = 200


def expert_constants(kernel: MoeKernel) -> tuple[str, ...]:
    """Dotted names of the constants that timings of one kind of kernels tell; of grouped products fewer matter.

    Args:
        kernel: What was measured.
    """
    fused = {"token_passes", "tuned_flops_speedup", "uneven_slowdown", "spill_exponent"}
    told = set(ExpertCoefficients.model_fields) - {"tuned", "spill_tokens"} - (fused if kernel == "grouped" else set())
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
    active: np.ndarray | None = None,
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
        active: float64, shape (n,): experts that some token chose; None: tokens chose evenly.
    """
    reading.add(
        quantity,
        case,
        gpu,
        measured_s,
        lambda on: experts_s(layer, on.gpu, tp, tokens, kernel, active),
        lambda i: f"{case}, {tokens[i]:.0f} tokens",
    )


def routed_experts(distribution: str, tokens: np.ndarray, layer: ArchitectureConfig) -> np.ndarray:
    """Experts that some token chooses where a benchmark deals the tokens out.

    ``balanced`` deals them round robin. ``power_law_A`` draws each share from a power law of exponent A between
    one token and four fifths of all (AIConfigurator, ``collect_moe.py`` for vLLM); what it measured with fewer choices
    than experts is as if tokens chose evenly, and so is every other distribution.

    Args:
        distribution: Its name in the file.
        tokens: float64, shape (n,).
        layer: What is computed.

    Returns:
        float64, shape (n,): in expectation.
    """
    experts, choices = layer.experts, tokens * layer.experts_per_token
    active = active_experts(layer, tokens)
    if distribution == "balanced":
        return np.minimum(float(experts), choices)
    law = _POWER_LAW.fullmatch(distribution)
    if law is None:
        return active
    power = 1.0 - float(law[1])
    draws = np.random.default_rng(0).random((_DRAWS, experts))
    for i in np.flatnonzero(choices > experts):
        largest = _LARGEST_SHARE * tokens[i]
        loads = (1.0 + (largest**power - 1.0) * draws) ** (1.0 / power) if power else largest**draws
        active[i] = np.mean(np.sum(np.round(loads / loads.sum(1, keepdims=True) * choices[i]) > 0, axis=1))
    return active


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
