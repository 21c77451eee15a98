"""Frontier's profiles (github.com/NetX-lab/Frontier, data/profiling): layers, FlashInfer attention, MoE kernels."""

from __future__ import annotations

from pathlib import Path

from maestro_gym.config import ArchitectureConfig
from maestro_gym.config.catalogue import Catalogue
from maestro_gym.fidelity.folders import by_gpu
from maestro_gym.fidelity.frames import median_columns, read_table
from maestro_gym.fidelity.layers import read_attention, read_layers, with_whole_experts
from maestro_gym.fidelity.points import Reading, Source
from maestro_gym.fidelity.vidur import DECODE_FREE, ELEMENTWISE_FREE, LINEAR_FREE, PREFILL_FREE
from maestro_gym.sim.operators import experts_s

EXPERT_FREE = (
    "gpu.step.expert_const_s",
    "gpu.step.expert_bandwidth_efficiency",
    "gpu.step.expert_flops_efficiency",
    "gpu.step.expert_exponent",
)
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
    reading = Reading()
    for path, gpu in by_gpu(folder, "*/*/mlp.csv", catalogue, reading):
        read_layers(reading, path, gpu)
    for path, gpu in by_gpu(folder, "*/*/attention.csv", catalogue, reading):
        read_attention(reading, path, gpu)
    for path, gpu in by_gpu(folder, "*/*/moe.csv", catalogue, reading):
        _read_moe(reading, path, gpu)
    return reading


def _read_moe(reading: Reading, path: Path, gpu: str) -> None:
    table = read_table(path, [*_MOE, *median_columns(["moe_grouped_gemm"])])
    for key, rows in with_whole_experts(reading, table, "expert_parallel_size").groups(_MOE[1:]):
        experts, _, chosen, hidden, ffn, gated, tp = (int(value) for value in key)
        architecture = moe_layer(hidden, ffn, experts, chosen, bool(gated))
        (tokens,) = rows.floats("num_tokens")
        case = f"{path.parent.name} tp {tp}"
        reading.add(
            "MoE experts",
            case,
            gpu,
            rows.median_s("moe_grouped_gemm"),
            lambda on, a=architecture, tp=tp, n=tokens: experts_s(a, on.gpu, tp, n),
            lambda i, n=tokens, case=case: f"{case}, {n[i]:.0f} tokens",
        )


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


SOURCE = Source(
    name="frontier",
    title="Frontier's layer, attention (FlashInfer) and MoE (unfused kernels) timings",
    read=_read,
    free={
        "linear layers": LINEAR_FREE,
        "element-wise": ELEMENTWISE_FREE,
        "attention prefill": PREFILL_FREE,
        "attention decode": DECODE_FREE,
        "MoE experts": EXPERT_FREE,
    },
    calibrates=("attention prefill", "attention decode", "MoE experts"),
)
