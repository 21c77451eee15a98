"""How long one step of an engine takes: the operator-sum model, as tables.

    t_step = c_step + c_seq*S + L*(t_lin(n) + t_moe(n) + t_elt(n) + t_att_pf + t_att_dec + 2*t_ar(n*h*2B)) + t_lmhead(S)

with n tokens in the step, S sequences that sample one, L layers. What depends on n alone is ``step_s[n]``,
what depends on S alone is ``sample_s[S]``; attention is affine in query-key pairs, with the coefficients of a PERF
record, and for a batch of so many sequences that decode in the KV tokens that they read, with those of a DECODE
record. Coefficients: ``configs/hardware/gpus``, fitted to A100 layer timings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maestro_gym.config import ArchitectureConfig, GpuConfig, MoeKernel
from maestro_gym.performance.operators import (
    ACTIVATION_BYTES,
    allreduce_s,
    attention_token_s,
    elementwise_s,
    experts_s,
    linear_s,
    lmhead_s,
)
from maestro_gym.state import DECODE, PERF


class StepTables(NamedTuple):
    """One architecture on one kind of node.

    Attributes:
        perf: PERF, shape ().
        step_s: float64, shape (max_num_batched_tokens + 1,), by tokens of the step; 0 for no token.
        sample_s: float64, shape (max_num_seqs + 1,), by sequences that sample; 0 for none.
        decode: DECODE, shape (max_num_seqs + 1,), by sequences that decode.
    """

    perf: np.ndarray
    step_s: np.ndarray
    sample_s: np.ndarray
    decode: np.ndarray


def step_tables(
    architecture: ArchitectureConfig,
    gpu: GpuConfig,
    tp: int,
    max_num_batched_tokens: int,
    max_num_seqs: int,
    moe_kernel: MoeKernel,
) -> StepTables:
    """Tabulate the step model.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        max_num_batched_tokens: Largest n.
        max_num_seqs: Largest S.
        moe_kernel: What the engine computes experts with; means nothing to a dense model.

    Returns:
        The tables, per GPU of the node.
    """
    tokens = np.arange(max_num_batched_tokens + 1, dtype=np.float64)
    sequences = np.arange(max_num_seqs + 1, dtype=np.float64)
    coefficients = gpu.step
    layer_s = (
        linear_s(architecture, gpu, tp, tokens)
        + elementwise_s(architecture, gpu, tp, tokens)
        + attention_token_s(architecture, gpu, tp, tokens)
        + 2.0 * allreduce_s(gpu, tp, tokens * architecture.hidden * ACTIVATION_BYTES)
    )
    if architecture.experts:
        layer_s = layer_s + experts_s(architecture, gpu, tp, tokens, moe_kernel)
    step_s = coefficients.step_const_s + architecture.layers * layer_s
    sample_s = coefficients.sequence_s * sequences + lmhead_s(architecture, gpu, tp, sequences)
    step_s[0] = 0.0
    sample_s[0] = 0.0
    decode = decode_attention(architecture, gpu, tp, sequences)
    return StepTables(attention_record(architecture, gpu, tp), step_s, sample_s, decode)


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
        decode = tables.decode[len(decode_contexts)]
        total += float(decode["const_s"])
        total += float(decode["s_per_token"]) * sum(decode_contexts)
    return total


def attention_record(architecture: ArchitectureConfig, gpu: GpuConfig, tp: int) -> np.ndarray:
    """Bytes and prefill attention of one architecture on one kind of node.

    Prefill multiplies: 4 * heads * head_dim FLOPs for each pair of query and key.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.

    Returns:
        PERF, shape (): seconds are per step, all layers together.
    """
    coefficients = gpu.step
    layers = architecture.layers
    heads = architecture.heads / tp
    flops_per_s = gpu.peak_flops_per_s * coefficients.attention_prefill_flops_efficiency
    perf = np.zeros((), dtype=PERF)
    perf["weight_bytes"] = architecture.weight_bytes_per_gpu(tp)
    perf["kv_bytes_per_token"] = architecture.kv_bytes_per_token_per_gpu(tp)
    perf["layers"] = layers
    perf["att_prefill_const_s"] = layers * coefficients.attention_prefill_const_s
    perf["att_prefill_s_per_pair"] = layers * 4.0 * heads * architecture.head_dim / flops_per_s
    return perf


def decode_attention(architecture: ArchitectureConfig, gpu: GpuConfig, tp: int, sequences: np.ndarray) -> np.ndarray:
    """Decode attention of one architecture on one kind of node.

    Decode reads keys and values of every cached token, two bytes each. A kernel deals out sequences and KV heads to
    multiprocessors, so few of them do not reach the bandwidth of HBM: where the GPU has times by them
    (`DecodeAttention`), constant and bandwidth are interpolated, in logarithms, and stay beyond the last.

    Args:
        architecture: What runs.
        gpu: What it runs on.
        tp: GPUs of the node.
        sequences: float64, any shape; sequences that decode.

    Returns:
        DECODE, same shape: seconds are per step, all layers together.
    """
    coefficients = gpu.step
    # With fewer KV heads than GPUs each GPU keeps one whole head.
    kv_heads = max(1.0, architecture.kv_heads / tp)
    layers, measured = architecture.layers, coefficients.attention_decode
    decode = np.zeros(np.shape(sequences), dtype=DECODE)
    if measured is None:
        const_s = coefficients.attention_decode_const_s
        decode["const_s"] = layers * const_s + layers * coefficients.attention_decode_s_per_sequence * sequences
        efficiency = coefficients.attention_decode_bandwidth_efficiency
    else:
        place, at = np.log(np.maximum(1.0, sequences) * kv_heads), np.log(measured.batch_heads)
        decode["const_s"] = layers * np.exp(np.interp(place, at, np.log(measured.const_s)))
        efficiency = np.exp(np.interp(place, at, np.log(measured.bandwidth_efficiency)))
    # Keys and values, two bytes each.
    bytes_per_s = gpu.hbm_bytes_per_s * efficiency
    decode["s_per_token"] = layers * 4.0 * kv_heads * architecture.head_dim / bytes_per_s
    return decode
