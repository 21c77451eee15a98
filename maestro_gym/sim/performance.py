"""How long one step of an engine takes: the operator-sum model, as tables.

    t_step = c_step + c_seq*S + L*(t_lin(n) + t_elt(n) + t_att_pf + t_att_dec + 2*t_ar(n*h*2B)) + t_lmhead(S)

with n tokens in the step, S sequences that sample one, L layers. What depends on n alone is ``step_s[n]``,
what depends on S alone is ``sample_s[S]``; attention is affine in KV tokens and query-key pairs, and its
coefficients stand in a PERF record. Coefficients: ``configs/hardware/gpus``, fitted to A100 layer timings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maestro_gym.config import ArchitectureConfig, GpuConfig
from maestro_gym.config.hardware import WEIGHT_BYTES_PER_PARAMETER
from maestro_gym.schema import PERF

_ACTIVATION_BYTES = 2
_REFERENCE_HIDDEN = 4096
"""Width at which the element-wise coefficient was fitted."""


class StepTables(NamedTuple):
    """One architecture on one kind of node.

    Attributes:
        perf: PERF, shape ().
        step_s: float64, shape (max_num_batched_tokens + 1,), by tokens of the step; 0 for no token.
        sample_s: float64, shape (max_num_seqs + 1,), by sequences that sample; 0 for none.
    """

    perf: np.ndarray
    step_s: np.ndarray
    sample_s: np.ndarray


def step_tables(
    architecture: ArchitectureConfig, gpu: GpuConfig, tp: int, max_num_batched_tokens: int, max_num_seqs: int
) -> StepTables:
    """Tabulate the step model.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        max_num_batched_tokens: Largest n.
        max_num_seqs: Largest S.

    Returns:
        The tables, per GPU of the node.
    """
    tokens = np.arange(max_num_batched_tokens + 1, dtype=np.float64)
    sequences = np.arange(max_num_seqs + 1, dtype=np.float64)
    coefficients = gpu.step
    layer_s = (
        linear_s(architecture, gpu, tp, tokens)
        + elementwise_s(architecture, gpu, tp, tokens)
        + 2.0 * allreduce_s(gpu, tp, tokens * architecture.hidden * _ACTIVATION_BYTES)
    )
    step_s = coefficients.step_const_s + architecture.layers * layer_s
    sample_s = coefficients.sequence_s * sequences + lmhead_s(architecture, gpu, tp, sequences)
    step_s[0] = 0.0
    sample_s[0] = 0.0
    return StepTables(_perf(architecture, gpu, tp), step_s, sample_s)


def linear_s(architecture: ArchitectureConfig, gpu: GpuConfig, tp: int, tokens: np.ndarray) -> np.ndarray:
    """Time of one layer's linear operators: QKV, output, feed-forward or experts.

    A smooth roofline: ``g0 + (memory^k + compute^k)^(1/k)``. A MoE layer reads the experts that n tokens are
    expected to choose, E*(1-(1-k/E)^n), and computes k of them a token.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        tokens: float64, any shape; tokens of the step.

    Returns:
        Seconds, same shape.
    """
    shared = architecture.attention_parameters + architecture.router_parameters
    if architecture.experts:
        share = architecture.experts_per_token / architecture.experts
        read = shared + architecture.experts * (1.0 - (1.0 - share) ** tokens) * architecture.ffn_parameters
        computed = shared + architecture.experts_per_token * architecture.ffn_parameters
    else:
        read = np.full_like(tokens, shared + architecture.ffn_parameters)
        computed = shared + architecture.ffn_parameters
    return gpu.step.linear_const_s + _roofline_s(gpu, tp, read, computed * tokens)


def elementwise_s(architecture: ArchitectureConfig, gpu: GpuConfig, tp: int, tokens: np.ndarray) -> np.ndarray:
    """Time of one layer's norms, rotary embedding, activation and residual additions.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        tokens: float64, any shape; tokens of the step.

    Returns:
        Seconds, same shape.
    """
    coefficients = gpu.step
    replicated = coefficients.elementwise_replicated_share
    width = architecture.hidden / _REFERENCE_HIDDEN * (replicated + (1.0 - replicated) / tp)
    return coefficients.elementwise_const_s + coefficients.elementwise_s_per_token * width * tokens


def allreduce_s(gpu: GpuConfig, tp: int, num_bytes: np.ndarray) -> np.ndarray:
    """Time of one all-reduce of a node's GPUs: ``6 us + x/B(tp)``, zero at tp 1.

    Args:
        gpu: What it runs on.
        tp: GPUs of the node, a key of the GPU's bandwidth table.
        num_bytes: float64, any shape.

    Returns:
        Seconds, same shape.
    """
    if tp == 1:
        return np.zeros_like(num_bytes)
    return gpu.step.allreduce_const_s + num_bytes / gpu.step.allreduce_bytes_per_s[tp]


def lmhead_s(architecture: ArchitectureConfig, gpu: GpuConfig, tp: int, sequences: np.ndarray) -> np.ndarray:
    """Time of the output matrix: the smooth roofline with W = vocab * hidden and n = S.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        sequences: float64, any shape; sequences that sample a token.

    Returns:
        Seconds, same shape.
    """
    parameters = float(architecture.vocab * architecture.hidden)
    return _roofline_s(gpu, tp, np.full_like(sequences, parameters), parameters * sequences)


def step_time_s(
    tables: StepTables, prefills: list[tuple[int, int]], decode_contexts: list[int], sampling_prefills: int = 0
) -> float:
    """Time of one step, composed from the tables as the simulator does.

    Args:
        tables: From `step_tables`.
        prefills: (new tokens, tokens already computed) of each prompt chunk in the step.
        decode_contexts: KV tokens that each decoding sequence reads.
        sampling_prefills: Chunks that end their prompt and so sample a first token.

    Returns:
        Seconds.
    """
    perf = tables.perf
    tokens = sum(new for new, _ in prefills) + len(decode_contexts)
    total = float(tables.step_s[tokens]) + float(tables.sample_s[len(decode_contexts) + sampling_prefills])
    if prefills:
        pairs = sum(new * (past + new / 2.0) for new, past in prefills)
        total += float(perf["att_prefill_const_s"]) + float(perf["att_prefill_s_per_pair"]) * pairs
    if decode_contexts:
        total += float(perf["att_decode_const_s"])
        total += float(perf["att_decode_s_per_seq"]) * len(decode_contexts)
        total += float(perf["att_decode_s_per_token"]) * sum(decode_contexts)
    return total


def _perf(architecture: ArchitectureConfig, gpu: GpuConfig, tp: int) -> np.ndarray:
    coefficients = gpu.step
    layers = architecture.layers
    heads = architecture.heads / tp
    # With fewer KV heads than GPUs each GPU keeps one whole head.
    kv_heads = max(1.0, architecture.kv_heads / tp)
    flops_per_s = gpu.peak_flops_per_s * coefficients.attention_prefill_flops_efficiency
    bytes_per_s = gpu.hbm_bytes_per_s * coefficients.attention_decode_bandwidth_efficiency
    perf = np.zeros((), dtype=PERF)
    perf["weight_bytes"] = architecture.weight_bytes_per_gpu(tp)
    perf["kv_bytes_per_token"] = architecture.kv_bytes_per_token_per_gpu(tp)
    perf["layers"] = layers
    perf["att_prefill_const_s"] = layers * coefficients.attention_prefill_const_s
    perf["att_prefill_s_per_pair"] = layers * 4.0 * heads * architecture.head_dim / flops_per_s
    perf["att_decode_const_s"] = layers * coefficients.attention_decode_const_s
    perf["att_decode_s_per_seq"] = layers * coefficients.attention_decode_s_per_sequence
    # Keys and values, two bytes each.
    perf["att_decode_s_per_token"] = layers * 4.0 * kv_heads * architecture.head_dim / bytes_per_s
    return perf


def _roofline_s(gpu: GpuConfig, tp: int, read: np.ndarray, multiplied: np.ndarray) -> np.ndarray:
    """Combine the time to read parameters with the time to multiply them (parameters times tokens)."""
    coefficients = gpu.step
    memory_s = WEIGHT_BYTES_PER_PARAMETER * read / tp / (gpu.hbm_bytes_per_s * coefficients.linear_bandwidth_efficiency)
    compute_s = 2.0 * multiplied / tp / (gpu.peak_flops_per_s * coefficients.linear_flops_efficiency)
    exponent = coefficients.roofline_exponent
    return (memory_s**exponent + compute_s**exponent) ** (1.0 / exponent)
