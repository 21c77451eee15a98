"""Step tables from measured kernels, in place of those that the formulas make (LLMServingSim's profiles)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import least_squares, nnls

from maestro_gym.config import ArchitectureConfig, GpuConfig
from maestro_gym.fidelity.frames import Table, read_table
from maestro_gym.performance.operators import ACTIVATION_BYTES, active_experts, allreduce_s
from maestro_gym.performance.step_tables import StepTables
from maestro_gym.state import DECODE, PERF

_ATTENTION = {"layernorm": 2, "qkv_proj": 1, "rotary_emb": 1, "o_proj": 1}
"""Kernels of every layer beside attention itself, and how often each runs in it."""
_DENSE_MLP = {"gate_up_proj": 1, "act_fn": 1, "down_proj": 1}
"""Kernels of a layer without experts; the experts of another are in a table of their own."""
_OPTIONAL = {"qk_norm": 1}
"""Kernels that some models have: the norms of queries and keys, timed as one (Qwen3)."""
_ONCE = ("embedding", "final_layernorm")
_SAMPLING = ("lm_head", "sampler")
_SOFTENING = 0.1
_LEAST = 1e-15


class NotModelledError(Exception):
    """A profile holds, or lacks, what a replay would have to know; the words say what."""


def kernel_tables(
    folder: Path,
    architecture: ArchitectureConfig,
    gpu: GpuConfig,
    tp: int,
    max_num_batched_tokens: int,
    max_num_seqs: int,
) -> StepTables:
    """Put the kernels of a profile together as the engine's tables, without the constants of a step.

    Times between measured sizes are interpolated. Attention is measured over a grid; the engine's affine form is
    fitted to the rows that only decode and to those that only prefill, by least squares on the relative error.
    All-reduces, which a profile of one GPU cannot hold, are those of the formulas, two a layer.

    Args:
        folder: Holds ``profile_dense.csv``, ``profile_per_sequence.csv`` and ``profile_attention.csv``, in us, and
            ``profile_moe.csv`` for a model with experts.
        architecture: What ran.
        gpu: What it ran on; its all-reduce counts where ``tp`` is above 1.
        tp: GPUs of the node.
        max_num_batched_tokens: Largest step.
        max_num_seqs: Largest batch.

    Returns:
        The tables; ``step_s`` and ``sample_s`` are 0 for nothing.

    Raises:
        NotModelledError: A kernel is missing, or there is one that the replay does not know.
    """
    per_layer = _ATTENTION | ({} if architecture.experts else _DENSE_MLP)
    tokens = np.arange(max_num_batched_tokens + 1, dtype=np.float64)
    sequences = np.arange(max_num_seqs + 1, dtype=np.float64)
    dense = _kernels(folder / "profile_dense.csv", "tokens", tokens, (*per_layer, *_ONCE), tuple(_OPTIONAL))
    sampling = _kernels(folder / "profile_per_sequence.csv", "sequences", sequences, _SAMPLING)
    layer_s = np.sum([times * dense[name] for name, times in (per_layer | _OPTIONAL).items() if name in dense], axis=0)
    layer_s = layer_s + 2.0 * allreduce_s(gpu, tp, tokens * architecture.hidden * ACTIVATION_BYTES)
    if architecture.experts:
        layer_s = layer_s + _experts_s(folder / "profile_moe.csv", architecture, tokens)
    decode, prefill = _attention(folder / "profile_attention.csv")
    layers = architecture.layers
    step_s = layers * (layer_s + prefill[1] * tokens) + sum(dense[name] for name in _ONCE)
    sample_s = np.sum([sampling[name] for name in _SAMPLING], axis=0)
    step_s[0] = sample_s[0] = 0.0
    record = np.zeros((), PERF)
    record["layers"] = layers
    record["weight_bytes"] = architecture.weight_bytes_per_gpu(tp)
    record["kv_bytes_per_token"] = architecture.kv_bytes_per_token_per_gpu(tp)
    record["att_prefill_const_s"] = layers * prefill[0]
    record["att_prefill_s_per_pair"] = layers * prefill[2]
    reads = np.zeros(len(sequences), DECODE)
    reads["const_s"] = layers * decode[0] + layers * decode[1] * sequences
    reads["s_per_token"] = layers * decode[2]
    return StepTables(record, step_s, sample_s, reads)


def _kernels(
    path: Path, size: str, sizes: np.ndarray, names: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Seconds of each kernel by size, interpolated; of an optional one only where it was timed."""
    table = read_table(path, [size, "time_us"], ["layer"])
    words = np.array(table.words("layer"))
    for problem, found in (
        ("the replay does not know the kernels", set(words) - {*names, *optional}),
        ("there are no times of the kernels", set(names) - set(words)),
    ):
        if found:
            raise NotModelledError(f"{path.name}: {problem} {', '.join(sorted(found))}")
    times = {}
    for name in set(words):
        known, microseconds = table.where(words == name).floats(size, "time_us")
        order = np.argsort(known)
        times[name] = np.interp(sizes, known[order], microseconds[order]) * 1e-6
    return times


def _experts_s(path: Path, architecture: ArchitectureConfig, tokens: np.ndarray) -> np.ndarray:
    """Seconds of the experts of one layer by tokens, when these choose experts evenly and independently.

    The profile has times by tokens and by experts that are active, on one GPU (``ep`` 1); between the measured numbers
    times are interpolated.
    """
    if not path.is_file():
        raise NotModelledError(f"{path.name} is missing, which holds the experts' times")
    table = read_table(path, ["ep", "tokens", "activated_experts", "time_us"])
    (ep,) = table.floats("ep")
    sizes, active, microseconds = table.where(ep == 1).floats("tokens", "activated_experts", "time_us")
    if not len(sizes):
        raise NotModelledError(f"{path.name}: no times with all experts on one GPU (ep 1)")
    expected = active_experts(architecture, tokens)
    measured = np.unique(sizes)
    by_size = []
    for size in measured:
        known, times = active[sizes == size], microseconds[sizes == size]
        order = np.argsort(known)
        by_size.append(np.interp(expected, known[order], times[order]))
    # By tokens and by what it would be at each measured number of tokens: the diagonal is wanted.
    seconds = np.array([np.interp(n, measured, column) for n, column in zip(tokens, np.array(by_size).T, strict=True)])
    seconds *= 1e-6
    seconds[0] = 0.0
    return seconds


def _attention(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """One layer: (const, per sequence, per cached token) of decode, (const, per token, per pair) of prefill."""
    table = read_table(path, ["prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us"])
    chunk, _, count, _, _ = _columns(table)
    _, _, count_d, cached_d, decode_us = _columns(table.where(chunk == 0))
    chunk_p, cached_p, _, _, prefill_us = _columns(table.where(count == 0))
    decode = np.stack([np.ones_like(count_d), count_d, count_d * cached_d], axis=1)
    prefill = np.stack([np.ones_like(chunk_p), chunk_p, chunk_p * (cached_p + chunk_p / 2.0)], axis=1)
    return _affine(decode, decode_us * 1e-6), _affine(prefill, prefill_us * 1e-6)


def _columns(table: Table) -> list[np.ndarray]:
    return table.floats("prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us")


def _affine(terms: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Coefficients that are not negative, by soft least squares on the relative error."""
    begin, _ = nnls(terms / seconds[:, None], np.ones(len(seconds)))
    scale = np.maximum(begin, _LEAST)
    found = least_squares(
        lambda x: terms @ (x * scale) / seconds - 1.0,
        np.ones(len(scale)),
        bounds=(0, np.inf),
        loss="soft_l1",
        f_scale=_SOFTENING,
    )
    return found.x * scale
