"""Frontier's profiles (github.com/NetX-lab/Frontier, data/profiling): layers, FlashInfer attention, MoE kernels."""

from __future__ import annotations

from pathlib import Path

from maestro_gym.config import MoeKernel
from maestro_gym.config.catalogue import Catalogue
from maestro_gym.fidelity.experts import add_experts, expert_constants, moe_layer, with_whole_experts
from maestro_gym.fidelity.folders import by_gpu
from maestro_gym.fidelity.frames import median_columns, read_table
from maestro_gym.fidelity.layers import read_models
from maestro_gym.fidelity.points import Reading, Source
from maestro_gym.fidelity.vidur import DECODE_FREE, ELEMENTWISE_FREE, LINEAR_FREE, PREFILL_FREE

MOE_KERNEL: MoeKernel = "grouped"
"""``moe_grouped_gemm`` are the products of all experts; what routes and moves the tokens is timed apart."""
_MOE = (
    "num_tokens",
    "num_experts",
    "expert_parallel_size",
    "router_topk",
    "hidden_dim",
    "expert_hidden_dim",
    "use_gated",
    "num_tensor_parallel_workers",
)


def _read(folder: Path, catalogue: Catalogue) -> Reading:
    reading = read_models(folder, catalogue)
    for path, gpu in by_gpu(folder, "*/*/moe.csv", catalogue, reading):
        _read_moe(reading, path, gpu)
    return reading


def _read_moe(reading: Reading, path: Path, gpu: str) -> None:
    table = read_table(path, [*_MOE, *median_columns(["moe_grouped_gemm"])])
    for key, rows in with_whole_experts(reading, table, "expert_parallel_size").groups(_MOE[1:]):
        experts, _, chosen, hidden, ffn, gated, tp = (int(value) for value in key)
        layer = moe_layer(hidden, ffn, experts, chosen, bool(gated))
        (tokens,) = rows.floats("num_tokens")
        case = f"{path.parent.name} tp {tp}"
        add_experts(reading, "MoE experts", case, gpu, rows.median_s("moe_grouped_gemm"), layer, tp, tokens, MOE_KERNEL)


SOURCE = Source(
    name="frontier",
    title="Frontier's layer, attention (FlashInfer) and MoE (unfused kernels) timings",
    read=_read,
    free={
        "linear layers": LINEAR_FREE,
        "element-wise": ELEMENTWISE_FREE,
        "attention prefill": PREFILL_FREE,
        "attention decode": DECODE_FREE,
        "MoE experts": expert_constants(MOE_KERNEL),
    },
    calibrates=("attention prefill", "attention decode", "MoE experts"),
)
