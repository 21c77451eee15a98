"""Kernel timings of AIConfigurator (github.com/ai-dynamo/aiconfigurator): vLLM operators and NCCL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from maestro_gym.config import ArchitectureConfig, GpuConfig, MoeKernel
from maestro_gym.config.catalogue import Catalogue
from maestro_gym.config.hardware import KV_BYTES_PER_ELEMENT, WEIGHT_BYTES_PER_PARAMETER, Validity
from maestro_gym.fidelity.experts import add_experts, expert_constants, moe_layer, routed_experts, with_whole_experts
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
MIN_WIDTH = 512
"""Width below which a matrix is no layer's: eight GPUs leave 512 outputs of queries, keys and values to an 8B."""
MAX_SIDE = 1 << 30
"""Above any side of a matrix."""
MAX_DEPTH = 32768
"""Depth above which a matrix is no layer's (Llama 3.1 405B's feed-forward block has 53,248, cut by eight)."""
SERVED_CONTEXT = (64, 32768)
"""Cached tokens of a sequence between which engines decode."""
SERVED_BATCH = 256
"""Sequences up to which engines decode at once: the default of vLLM's ``max_num_seqs``."""
SERVED_PROMPTS = (64, 16384)
"""Tokens of a prompt from which, and tokens of a step up to which, engines prefill."""


def read_folder(folder: Path, catalogue: Catalogue) -> Reading:
    """Read one system's folder.

    Args:
        folder: Holds ``*_gemm.csv``, ``*_attention.csv``, ``*_moe.csv``, ``*allreduce.csv`` and ``nccl_*.csv``.
        catalogue: Knows the GPUs.

    Returns:
        What it held.
    """
    reading = Reading()
    readers: list[tuple[str, str, list[str], list[str], Callable[[Reading, str, GpuConfig, Table], None]]] = [
        ("*gemm.csv", "gemm_dtype", ["m", "n", "k"], [], _gemm),
        ("*context_attention.csv", "attn_dtype", ["batch_size", "isl", "step", *_HEADS], [], _context),
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
                    reader(reading, gpu, catalogue.gpus[gpu], rows)
    return reading


def _seconds(rows: Table) -> np.ndarray:
    return rows.floats("latency")[0] * 1e-3


def _gemm(reading: Reading, gpu: str, card: GpuConfig, table: Table) -> None:
    # Held apart: products that no layer of a served model has.
    outputs, inputs = table.floats("n", "k")
    narrow = np.minimum(outputs, inputs) < MIN_WIDTH
    served = (outputs * inputs >= MIN_PRODUCT) & ~narrow & (inputs <= MAX_DEPTH)
    # A matrix that came faster than HBM can deliver it was in the L2 cache, where a step that reads all weights never
    # finds one; so were then those of its other timings.
    weight_bytes = WEIGHT_BYTES_PER_PARAMETER * outputs * inputs
    fast = _seconds(table) < weight_bytes / card.hbm_bytes_per_s
    shape = outputs * MAX_SIDE + inputs
    cached = np.isin(shape, shape[fast])
    parts = (
        ("matrix product", served & ~cached),
        ("matrix product, from the cache", served & cached),
        ("matrix product, of no layer", ~served),
    )
    for quantity, chosen in parts:
        if not chosen.any():
            continue
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


def _context(reading: Reading, gpu: str, _: GpuConfig, table: Table) -> None:
    for key, rows in table.groups(_HEADS):
        heads, kv_heads, width = (int(value) for value in key)
        batch, tokens = rows.floats("batch_size", "isl")
        served = (tokens >= SERVED_PROMPTS[0]) & (batch * tokens <= SERVED_PROMPTS[1])
        for quantity, chosen in (("attention prefill", served), ("attention prefill, beyond serving", ~served)):
            _add_attention(reading, quantity, gpu, rows.where(chosen), (heads, kv_heads, width), decode=False)


def _generation(reading: Reading, gpu: str, card: GpuConfig, table: Table) -> None:
    for key, rows in table.groups(_HEADS):
        heads, kv_heads, width = (int(value) for value in key)
        batch, prompt, step = rows.floats("batch_size", "isl", "step")
        context = prompt + step
        served = (context > SERVED_CONTEXT[0]) & (context <= SERVED_CONTEXT[1]) & (batch <= SERVED_BATCH)
        # Keys and values that came faster than HBM can deliver them were in the L2 cache.
        cache_bytes = 2.0 * KV_BYTES_PER_ELEMENT * kv_heads * width * batch * context
        served &= _seconds(rows) >= cache_bytes / card.hbm_bytes_per_s
        # FlashAttention 2 shares a long context among multiprocessors only where heads are grouped.
        name = "attention decode" if heads > kv_heads else "attention decode, heads not grouped"
        for quantity, chosen in ((name, served), ("attention decode, beyond serving", ~served)):
            _add_attention(reading, quantity, gpu, rows.where(chosen), (heads, kv_heads, width), decode=True)


def _add_attention(
    reading: Reading, quantity: str, gpu: str, rows: Table, shape: tuple[int, int, int], *, decode: bool
) -> None:
    """Add timings of one layer's attention with the heads of `shape`: query heads, KV heads, width."""
    if not len(rows):
        return
    batch, prompt, step = rows.floats("batch_size", "isl", "step")
    case = f"{shape[0]}/{shape[1]} heads of {shape[2]}"
    chunk, cached = (None, prompt + step) if decode else (prompt, np.zeros_like(prompt))
    reading.add(
        quantity,
        case,
        gpu,
        _seconds(rows),
        lambda on: attention_s(on, (*shape, 1), batch, chunk, cached),
        lambda i: f"{case}, {batch[i]:.0f} {'sequences' if decode else 'prompts'} of {(prompt + step)[i]:.0f}",
    )


def _moe(reading: Reading, gpu: str, _: GpuConfig, table: Table) -> None:
    for key, rows in with_whole_experts(reading, table, "moe_ep_size").groups(_MOE):
        hidden, ffn, chosen, experts, tp = (int(value) for value in key[:5])
        layer = moe_layer(hidden, ffn, experts, chosen)
        (tokens,) = rows.floats("num_tokens")
        active = _active(rows, tokens, layer)
        case = f"{experts} experts of {hidden} x {ffn}, top {chosen}, tp {tp}"
        served = tokens <= SERVED_PROMPTS[1]
        for quantity, part in (("MoE layer", served), ("MoE layer, beyond serving", ~served)):
            if part.any():
                seconds = _seconds(rows)[part]
                add_experts(reading, quantity, case, gpu, seconds, layer, tp, tokens[part], MOE_KERNEL, active[part])


def _active(rows: Table, tokens: np.ndarray, layer: ArchitectureConfig) -> np.ndarray:
    """Experts that some token chose in each row, by the distribution that it names; without one evenly."""
    words = np.array(rows.words("distribution") if rows.has("distribution") else [""] * len(rows))
    active = np.zeros_like(tokens)
    for word in np.unique(words):
        active[words == word] = routed_experts(word, tokens[words == word], layer)
    return active


def _custom_allreduce(reading: Reading, gpu: str, _: GpuConfig, table: Table) -> None:
    graphs = np.array(["graph" in word for word in table.words("kernel_source")], dtype=bool)
    if not graphs.all():
        reading.skip("all-reduce outside CUDA graphs", int(np.sum(~graphs)), "engines replay graphs")
    _allreduce(reading, gpu, table.where(graphs), "all-reduce (vLLM)")


def _nccl(reading: Reading, gpu: str, _: GpuConfig, table: Table) -> None:
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
        "matrix product, from the cache": LINEAR_FREE,
        "matrix product, of no layer": LINEAR_FREE,
        "attention prefill": PREFILL_FREE,
        "attention prefill, beyond serving": PREFILL_FREE,
        "attention decode": DECODE_FREE,
        "attention decode, heads not grouped": DECODE_FREE,
        "attention decode, beyond serving": DECODE_FREE,
        "MoE layer": expert_constants(MOE_KERNEL),
        "MoE layer, beyond serving": expert_constants(MOE_KERNEL),
        "all-reduce (vLLM)": ALLREDUCE_FREE,
        "all-reduce (NCCL)": ALLREDUCE_FREE,
    },
    validity=Validity(step_tokens=SERVED_PROMPTS[1], sequences=SERVED_BATCH, context_tokens=SERVED_CONTEXT[1]),
    calibrates=("matrix product", "attention prefill", "attention decode", "MoE layer", "all-reduce (vLLM)"),
)
