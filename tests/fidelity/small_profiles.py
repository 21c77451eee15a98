"""Small profile folders whose right answers are known, because the model itself wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from maestro_gym.config import ArchitectureConfig, MoeKernel
from maestro_gym.config.catalogue import Catalogue
from maestro_gym.fidelity.layers import attention_s
from maestro_gym.performance.operators import elementwise_s, experts_s, linear_s
from maestro_gym.scheduling.load_times import copy_time_s, start_time_s

GPU = "A100-SXM4-80GB"
LINEAR_COLUMN = "time_stats.mlp_up_proj.median"
_OPERATORS = (
    "attn_pre_proj",
    "attn_post_proj",
    "mlp_down_proj",
    "input_layernorm",
    "post_attention_layernorm",
    "attn_rope",
    "add",
)
SHAPE = {
    "n_head": 32,
    "n_kv_head": 8,
    "n_embd": 4096,
    "n_expanded_embd": 14336,
    "vocab_size": 32000,
    "use_gated_mlp": True,
}


def layer_frame(catalogue: Catalogue, factor: float = 1.0) -> pd.DataFrame:
    """A layer table as the model would have it, all linear time in one operator and all element-wise in another."""
    gpu = catalogue.gpus[GPU]
    model = ArchitectureConfig(
        layers=1, hidden=4096, heads=32, kv_heads=8, head_dim=128, ffn=14336, vocab=32000, max_model_len=1
    )
    frames = []
    for tp in (1, 2, 4):
        tokens = np.array([1, 2, 8, 16, 64, 128, 200, 256, 512, 1000, 2048, 4096])
        frame = pd.DataFrame({"num_tokens": tokens, "num_tensor_parallel_workers": tp, **SHAPE})
        for name in _OPERATORS:
            frame[f"time_stats.{name}.median"] = 0.0
        frame[LINEAR_COLUMN] = linear_s(model, gpu, tp, tokens.astype(float)) * 1e3 * factor
        frame["time_stats.mlp_act.median"] = elementwise_s(model, gpu, tp, tokens.astype(float)) * 1e3 * factor
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def write_vidur(root: Path, frame: pd.DataFrame, gpu: str = "a100", model: str = "any-7b") -> Path:
    """Write a layer table where Vidur has it."""
    path = root / "vidur" / gpu / model / "mlp.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    return path


def write_startup(root: Path, catalogue: Catalogue, factor: float = 1.0) -> Path:
    """Write start-up totals as the model has them."""
    costs = catalogue.gpus[GPU].residency
    rows = [
        {
            "model": f"m{layers}",
            "layers": layers,
            "params_b": billions,
            "actual_total_s": factor
            * start_time_s(
                costs.cpu_base_s, costs.cpu_s_per_gb / 1e9, 2e9 * billions, costs.cpu_s_per_layer, float(layers)
            ),
        }
        for layers, billions in ((24, 0.6), (32, 7.0), (40, 13.0), (32, 6.0), (48, 14.0), (64, 32.0), (16, 1.2))
    ]
    path = root / "vllm_startup" / "a100_vllm_startup.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def write_sleep(root: Path, catalogue: Catalogue, model: str = "Qwen3-0.6B", gpu: str = "A100") -> Path:
    """Write wakes as the model has them for Qwen3-0.6B."""
    card = catalogue.gpus[GPU]
    size = catalogue.model("Qwen3-0.6B")
    assert size is not None
    seconds = copy_time_s(card.residency.wake_base_s, float(size.weight_bytes), card.pcie_bytes_per_s)
    row = {"gpu": gpu, "model": model, "tp": 1, "precision": "bf16", "sleep_level": 1, "event": "wake"}
    path = root / "vllm_sleep_mode" / "wakes.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([row | {"seconds": seconds}] * 3).to_csv(path, index=False)
    return path


def write_experts(root: Path, catalogue: Catalogue) -> None:
    """Write Mixtral's experts as the model has them, in the files of Frontier (grouped) and AIConfigurator (fused)."""
    gpu, mixtral = catalogue.gpus[GPU], catalogue.model("Mixtral-8x7B")
    assert mixtral is not None
    tokens = np.array([1, 2, 4, 8, 16, 24, 32, 64, 128, 200, 256, 512, 700, 1000, 2048, 4096])

    def milliseconds(kernel: MoeKernel) -> np.ndarray:
        return 1e3 * experts_s(mixtral, gpu, 1, tokens.astype(float), kernel)

    shape = {"num_experts": 8, "expert_parallel_size": 1, "router_topk": 2, "hidden_dim": 4096}
    shape |= {"expert_hidden_dim": 14336, "use_gated": True, "num_tensor_parallel_workers": 1}
    path = root / "frontier" / "a100" / "mixtral" / "moe.csv"
    path.parent.mkdir(parents=True)
    times = {"time_stats.moe_grouped_gemm.median": milliseconds("grouped")}
    pd.DataFrame({"num_tokens": tokens, **shape, **times}).to_csv(path, index=False)
    shape = {"device": "NVIDIA A100-SXM4-80GB", "moe_dtype": "bfloat16", "hidden_size": 4096, "inter_size": 14336}
    shape |= {"topk": 2, "num_experts": 8, "moe_tp_size": 1, "moe_ep_size": 1}
    path = root / "aiconfigurator" / "vllm_moe.csv"
    path.parent.mkdir(parents=True)
    pd.DataFrame({"num_tokens": tokens, **shape, "latency": milliseconds("fused")}).to_csv(path, index=False)


def write_decode(root: Path, catalogue: Catalogue) -> None:
    """Write decode attention of grouped heads as the model has it, in the file of AIConfigurator."""
    machine = catalogue.machine(GPU)
    points = np.array([(b, c) for b in (1, 2, 8, 16, 64, 128) for c in (256, 1024, 4096, 16384)], float)
    frames = []
    for heads, kv_heads in ((32, 1), (32, 8)):
        seconds = attention_s(machine, (heads, kv_heads, 128, 1), points[:, 0], None, points[:, 1])
        shape = {"device": "NVIDIA A100-SXM4-80GB", "attn_dtype": "bfloat16", "head_dim": 128, "step": 0}
        shape |= {"num_heads": heads, "num_key_value_heads": kv_heads}
        sizes = {"batch_size": points[:, 0].astype(int), "isl": points[:, 1].astype(int), "latency": 1e3 * seconds}
        frames.append(pd.DataFrame(sizes).assign(**shape))
    path = root / "aiconfigurator" / "vllm_generation_attention.csv"
    path.parent.mkdir(parents=True)
    pd.concat(frames).to_csv(path, index=False)
