"""Step tables from measured kernels, in place of those that the formulas make (LLMServingSim's profiles)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import least_squares, nnls

from maestro_gym.config import ArchitectureConfig
from maestro_gym.fidelity.frames import Table, read_table
from maestro_gym.performance.step_tables import StepTables
from maestro_gym.state import PERF

_PER_LAYER = {
    "layernorm": 2,
    "qkv_proj": 1,
    "rotary_emb": 1,
    "o_proj": 1,
    "gate_up_proj": 1,
    "act_fn": 1,
    "down_proj": 1,
}
"""Kernels of one layer, and how often each runs in it."""
_ONCE = ("embedding", "final_layernorm")
_SAMPLING = ("lm_head", "sampler")
_SOFTENING = 0.1
_LEAST = 1e-15


def kernel_tables(
    folder: Path, architecture: ArchitectureConfig, tp: int, max_num_batched_tokens: int, max_num_seqs: int
) -> StepTables:
    """Put the kernels of a profile together as the engine's tables, without the constants of a step.

    Times between measured sizes are interpolated. Attention is measured over a grid; the engine's affine form is
    fitted to the rows that only decode and to those that only prefill, by least squares on the relative error.

    Args:
        folder: Holds ``profile_dense.csv``, ``profile_per_sequence.csv`` and ``profile_attention.csv``, in us.
        architecture: What ran.
        tp: GPUs of the node.
        max_num_batched_tokens: Largest step.
        max_num_seqs: Largest batch.

    Returns:
        The tables; ``step_s`` and ``sample_s`` are 0 for nothing.
    """
    tokens = np.arange(max_num_batched_tokens + 1, dtype=np.float64)
    sequences = np.arange(max_num_seqs + 1, dtype=np.float64)
    dense = _kernels(folder / "profile_dense.csv", "tokens", tokens, (*_PER_LAYER, *_ONCE))
    sampling = _kernels(folder / "profile_per_sequence.csv", "sequences", sequences, _SAMPLING)
    layer_s = np.sum([times * dense[name] for name, times in _PER_LAYER.items()], axis=0)
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
    record["att_decode_const_s"] = layers * decode[0]
    record["att_decode_s_per_seq"] = layers * decode[1]
    record["att_decode_s_per_token"] = layers * decode[2]
    return StepTables(record, step_s, sample_s)


def _kernels(path: Path, size: str, sizes: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    table = read_table(path, [size, "time_us"], ["layer"])
    words = np.array(table.words("layer"))
    times = {}
    for name in names:
        rows = table.where(words == name)
        known, microseconds = rows.floats(size, "time_us")
        order = np.argsort(known)
        times[name] = np.interp(sizes, known[order], microseconds[order]) * 1e-6 if len(rows) else np.zeros(len(sizes))
    return times


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
