"""Kernel timings of AIConfigurator (github.com/ai-dynamo/aiconfigurator): vLLM operators and NCCL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from maestro_gym.config import MoeKernel
from maestro_gym.config.catalogue import Catalogue
from maestro_gym.fidelity.experts import add_experts, expert_constants, moe_layer, with_whole_experts
from maestro_gym.fidelity.folders import NO_GPU
from maestro_gym.fidelity.frames import Table, read_table
from maestro_gym.fidelity.layers import add_allreduce, attention_s
from maestro_gym.fidelity.points import Reading, Source
from maestro_gym.fidelity.vidur import ALLREDUCE_FREE, DECODE_FREE, LINEAR_FREE, PREFILL_FREE
from maestro_gym.performance.operators import ACTIVATION_BYTES, matmul_s

MOE_KERNEL: MoeKernel = "fused"
"""What was timed is vLLM's ``fused_moe``, its sorting of tokens by expert included."""
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
    readers: list[tuple[str, str, list[str], list[str], Callable[[Reading, str, Table], None]]] = [
        ("*gemm.csv", "gemm_dtype", ["m", "n", "k"], [], _gemm),
        ("*context_attention.csv", "attn_dtype", ["batch_size", "isl", *_HEADS], [], _context),
        ("*generation_attention.csv", "attn_dtype", ["batch_size", "isl", "step", *_HEADS], [], _generation),
        ("*moe.csv", "moe_dtype", ["num_tokens", *_MOE], [], _moe),
        ("*allreduce.csv", "allreduce_dtype", ["num_gpus", "message_size"], ["kernel_source"], _custom_allreduce),
        ("nccl*.csv", "nccl_dtype", ["num_gpus", "message_size"], ["op_name"], _nccl),
    ]
    for pattern, dtype, columns, words, reader in readers:
        for path in sorted(folder.glob(pattern)):
            table = read_table(path, ["latency", *columns], ["device", dtype, *words])
            half = np.array([word in _HALF for word in table.words(dtype)], dtype=bool)
            if not half.all():
                reading.skip(f"{path.name}, not bf16 or fp16", int(np.sum(~half)), "weights are two bytes")
            for key, rows in table.where(half).groups(["device"]):
                gpu = catalogue.gpu(str(key[0]))
                if gpu is None:
                    reading.skip(f"GPU {key[0]}: {path.name}", len(rows), NO_GPU)
                else:
                    reader(reading, gpu, rows)
    return reading


def _seconds(rows: Table) -> np.ndarray:
    return rows.floats("latency")[0] * 1e-3


def _gemm(reading: Reading, gpu: str, table: Table) -> None:
    # Held apart: kernels that no layer of a served model has, whose time is their launch.
    outputs, inputs = table.floats("n", "k")
    small = outputs * inputs < MIN_PRODUCT
    for quantity, chosen in (("matrix product", ~small), ("matrix product, under 1M parameters", small)):
        rows = table.where(chosen)
        m, n, k = rows.floats("m", "n", "k")
        reading.add(
            quantity,
            "all shapes",
            gpu,
            _seconds(rows),
            lambda on, m=m, n=n, k=k: matmul_s(on.gpu, m, k, n),
            lambda i, m=m, n=n, k=k: f"({m[i]:.0f}, {k[i]:.0f}) x ({k[i]:.0f}, {n[i]:.0f})",
        )


def _context(reading: Reading, gpu: str, table: Table) -> None:
    for key, rows in table.groups(_HEADS):
        heads, kv_heads, width = (int(value) for value in key)
        batch, tokens = rows.floats("batch_size", "isl")
        case = f"{heads}/{kv_heads} heads of {width}"
        reading.add(
            "attention prefill",
            case,
            gpu,
            _seconds(rows),
            lambda on, s=(heads, kv_heads, width, 1), b=batch, q=tokens: attention_s(on, s, b, q, np.zeros_like(q)),
            lambda i, b=batch, q=tokens, case=case: f"{case}, {b[i]:.0f} prompts of {q[i]:.0f}",
        )


def _generation(reading: Reading, gpu: str, table: Table) -> None:
    for key, rows in table.groups(_HEADS):
        heads, kv_heads, width = (int(value) for value in key)
        batch, prompt, step = rows.floats("batch_size", "isl", "step")
        case = f"{heads}/{kv_heads} heads of {width}"
        reading.add(
            "attention decode",
            case,
            gpu,
            _seconds(rows),
            lambda on, s=(heads, kv_heads, width, 1), b=batch, c=prompt + step: attention_s(on, s, b, None, c),
            lambda i, b=batch, c=prompt + step, case=case: f"{case}, {b[i]:.0f} sequences of {c[i]:.0f}",
        )


def _moe(reading: Reading, gpu: str, table: Table) -> None:
    for key, rows in with_whole_experts(reading, table, "moe_ep_size").groups(_MOE):
        hidden, ffn, chosen, experts, tp, _ = (int(value) for value in key)
        layer = moe_layer(hidden, ffn, experts, chosen)
        (tokens,) = rows.floats("num_tokens")
        case = f"{experts} experts of {hidden} x {ffn}, top {chosen}, tp {tp}"
        add_experts(reading, "MoE layer", case, gpu, _seconds(rows), layer, tp, tokens, MOE_KERNEL)


def _custom_allreduce(reading: Reading, gpu: str, table: Table) -> None:
    graphs = np.array(["graph" in word for word in table.words("kernel_source")], dtype=bool)
    if not graphs.all():
        reading.skip("all-reduce outside CUDA graphs", int(np.sum(~graphs)), "engines replay graphs")
    _allreduce(reading, gpu, table.where(graphs), "all-reduce (vLLM)")


def _nccl(reading: Reading, gpu: str, table: Table) -> None:
    for (name,), rows in table.groups(["op_name"]):
        if name == "all_reduce":
            _allreduce(reading, gpu, rows, "all-reduce (NCCL)")
        else:
            reading.skip(f"NCCL {name}", len(rows), "no such collective is modelled")


def _allreduce(reading: Reading, gpu: str, table: Table, quantity: str) -> None:
    for key, rows in table.groups(["num_gpus"]):
        tp = int(key[0])
        (elements,) = rows.floats("message_size")
        size = elements * ACTIVATION_BYTES
        add_allreduce(reading, quantity, gpu, tp, _seconds(rows), size)


SOURCE = Source(
    name="aiconfigurator",
    title="AIConfigurator's vLLM kernels and NCCL collectives",
    read=read_folder,
    free={
        "matrix product": LINEAR_FREE,
        "matrix product, under 1M parameters": LINEAR_FREE,
        "attention prefill": PREFILL_FREE,
        "attention decode": DECODE_FREE,
        "MoE layer": expert_constants(MOE_KERNEL),
        "all-reduce (vLLM)": ALLREDUCE_FREE,
        "all-reduce (NCCL)": ALLREDUCE_FREE,
    },
    calibrates=("attention prefill", "attention decode", "MoE layer", "all-reduce (vLLM)"),
)
