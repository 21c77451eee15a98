"""Kernel timings of AIConfigurator (github.com/ai-dynamo/aiconfigurator): vLLM operators and NCCL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from maestro_gym.fidelity.catalogue import Catalogue
from maestro_gym.fidelity.folders import NO_GPU
from maestro_gym.fidelity.frames import read_table
from maestro_gym.fidelity.frontier import EXPERT_FREE, moe_layer
from maestro_gym.fidelity.layers import attention_s
from maestro_gym.fidelity.points import Reading, Source
from maestro_gym.fidelity.vidur import ALLREDUCE_FREE, DECODE_FREE, LINEAR_FREE, PREFILL_FREE
from maestro_gym.sim.operators import ACTIVATION_BYTES, allreduce_s, experts_s, matmul_s

_HALF = ("bfloat16", "half", "float16")
_HEADS = ["num_heads", "num_key_value_heads", "head_dim"]
_MOE = ["hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size"]
MIN_PRODUCT = 1 << 20
"""Parameters below which a matrix is no layer of a served model (Qwen3-0.6B's smallest has a million)."""


def read_folder(folder: Path, catalogue: Catalogue) -> Reading:
    """Read one system's folder.

    Args:
        folder: Holds ``*_gemm.csv``, ``*_attention.csv``, ``*_moe.csv``, ``*allreduce.csv`` and ``nccl_*.csv``.
        catalogue: Knows the GPUs.

    Returns:
        What it held.
    """
    reading = Reading()
    readers: list[tuple[str, str, list[str], Callable[[Reading, str, pd.DataFrame], None]]] = [
        ("*gemm.csv", "gemm_dtype", ["m", "n", "k"], _gemm),
        ("*context_attention.csv", "attn_dtype", ["batch_size", "isl", *_HEADS], _context),
        ("*generation_attention.csv", "attn_dtype", ["batch_size", "isl", "step", *_HEADS], _generation),
        ("*moe.csv", "moe_dtype", ["num_tokens", "distribution", *_MOE], _moe),
        ("*allreduce.csv", "allreduce_dtype", ["num_gpus", "message_size", "kernel_source"], _custom_allreduce),
        ("nccl*.csv", "nccl_dtype", ["num_gpus", "message_size", "op_name"], _nccl),
    ]
    for pattern, dtype, columns, reader in readers:
        for path in sorted(folder.glob(pattern)):
            frame = read_table(path, ["device", "latency", dtype, *columns])
            other = frame[~frame[dtype].isin(_HALF)]
            if len(other):
                reading.skip(f"{path.name}, other than 16 bit", len(other), "weights and activations are bf16")
            for device, rows in frame[frame[dtype].isin(_HALF)].groupby("device"):
                gpu = catalogue.gpu(str(device))
                if gpu is None:
                    reading.skip(f"GPU {device}: {path.name}", len(rows), NO_GPU)
                else:
                    reader(reading, gpu, rows)
    return reading


def _seconds(rows: pd.DataFrame) -> np.ndarray:
    return rows["latency"].to_numpy(np.float64) * 1e-3


def _floats(rows: pd.DataFrame, *columns: str) -> list[np.ndarray]:
    return [rows[column].to_numpy(np.float64) for column in columns]


def _gemm(reading: Reading, gpu: str, frame: pd.DataFrame) -> None:
    # Held apart: kernels that no layer of a served model has, whose time is their launch.
    small = frame["n"] * frame["k"] < MIN_PRODUCT
    for quantity, rows in (("matrix product", frame[~small]), ("matrix product, under 1M parameters", frame[small])):
        if rows.empty:
            continue
        m, n, k = _floats(rows, "m", "n", "k")
        reading.add(
            quantity,
            "all shapes",
            gpu,
            _seconds(rows),
            lambda on, m=m, n=n, k=k: matmul_s(on.gpu, m, k, n),
            lambda i, m=m, n=n, k=k: f"({m[i]:.0f}, {k[i]:.0f}) x ({k[i]:.0f}, {n[i]:.0f})",
        )


def _context(reading: Reading, gpu: str, frame: pd.DataFrame) -> None:
    for key, rows in frame.groupby(_HEADS):
        heads, kv_heads, width = (int(value) for value in key)
        batch, tokens = _floats(rows, "batch_size", "isl")
        case = f"{heads}/{kv_heads} heads of {width}"
        reading.add(
            "attention prefill",
            case,
            gpu,
            _seconds(rows),
            lambda on, s=(heads, kv_heads, width, 1), b=batch, q=tokens: attention_s(on, *s, b, q, np.zeros_like(q)),
            lambda i, b=batch, q=tokens, case=case: f"{case}, {b[i]:.0f} prompts of {q[i]:.0f}",
        )


def _generation(reading: Reading, gpu: str, frame: pd.DataFrame) -> None:
    for key, rows in frame.groupby(_HEADS):
        heads, kv_heads, width = (int(value) for value in key)
        batch, prompt, step = _floats(rows, "batch_size", "isl", "step")
        case = f"{heads}/{kv_heads} heads of {width}"
        reading.add(
            "attention decode",
            case,
            gpu,
            _seconds(rows),
            lambda on, s=(heads, kv_heads, width, 1), b=batch, c=prompt + step: attention_s(on, *s, b, None, c),
            lambda i, b=batch, c=prompt + step, case=case: f"{case}, {b[i]:.0f} sequences of {c[i]:.0f}",
        )


def _moe(reading: Reading, gpu: str, frame: pd.DataFrame) -> None:
    spread = frame[frame["moe_ep_size"] != 1]
    if len(spread):
        reading.skip("MoE with expert parallelism", len(spread), "experts are cut, not spread")
    for key, rows in frame[frame["moe_ep_size"] == 1].groupby(_MOE):
        hidden, ffn, chosen, experts, tp, _ = (int(value) for value in key)
        architecture = moe_layer(hidden, ffn, experts, chosen)
        (tokens,) = _floats(rows, "num_tokens")
        case = f"{experts} experts of {hidden} x {ffn}, top {chosen}, tp {tp}"
        reading.add(
            "MoE layer",
            case,
            gpu,
            _seconds(rows),
            lambda on, a=architecture, tp=tp, n=tokens: experts_s(a, on.gpu, tp, n),
            lambda i, n=tokens, case=case: f"{case}, {n[i]:.0f} tokens",
        )


def _custom_allreduce(reading: Reading, gpu: str, frame: pd.DataFrame) -> None:
    graphs = frame["kernel_source"].str.contains("graph")
    if not graphs.all():
        reading.skip("all-reduce outside CUDA graphs", int((~graphs).sum()), "engines replay graphs")
    _allreduce(reading, gpu, frame[graphs], "all-reduce (vLLM)")


def _nccl(reading: Reading, gpu: str, frame: pd.DataFrame) -> None:
    for name, rows in frame[frame["op_name"] != "all_reduce"].groupby("op_name"):
        reading.skip(f"NCCL {name}", len(rows), "no such collective is modelled")
    _allreduce(reading, gpu, frame[frame["op_name"] == "all_reduce"], "all-reduce (NCCL)")


def _allreduce(reading: Reading, gpu: str, frame: pd.DataFrame, quantity: str) -> None:
    for tp, rows in frame.groupby("num_gpus"):
        (elements,) = _floats(rows, "message_size")
        size = elements * ACTIVATION_BYTES
        reading.add(
            quantity,
            f"tp {tp}",
            gpu,
            _seconds(rows),
            lambda on, tp=int(str(tp)), size=size: allreduce_s(on.gpu, tp, size),
            lambda i, tp=tp, size=size: f"tp {tp}, {size[i]:.0f} bytes",
        )


SOURCE = Source(
    name="aiconfigurator",
    title="AIConfigurator's vLLM kernels and NCCL collectives",
    read=read_folder,
    free={
        "matrix product": LINEAR_FREE,
        "matrix product, under 1M parameters": LINEAR_FREE,
        "attention prefill": PREFILL_FREE,
        "attention decode": DECODE_FREE,
        "MoE layer": EXPERT_FREE,
        "all-reduce (vLLM)": ALLREDUCE_FREE,
        "all-reduce (NCCL)": ALLREDUCE_FREE,
    },
    calibrates=("attention prefill", "attention decode", "MoE layer", "all-reduce (vLLM)"),
)
