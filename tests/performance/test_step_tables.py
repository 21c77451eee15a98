"""The step model: hand-computed values, limits, and the layer timings it was fitted to."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from maestro_gym.config import ArchitectureConfig, GpuConfig, MoeKernel, find_config, read_yaml
from maestro_gym.config.hardware import ExpertCoefficients, ExpertKernels
from maestro_gym.performance.operators import allreduce_s, elementwise_s, experts_s, linear_s, matmul_s
from maestro_gym.performance.step_tables import StepTables, step_tables, step_time_s


def load_gpu(name: str = "A100-80GB") -> GpuConfig:
    return GpuConfig.model_validate(read_yaml(find_config("hardware/gpus", name, "test")))


def load_architecture(name: str) -> ArchitectureConfig:
    return ArchitectureConfig.model_validate(read_yaml(find_config("models", name, "test")))


def load_tables(name: str, gpu: str = "A100-80GB", tp: int = 1) -> StepTables:
    return step_tables(load_architecture(name), load_gpu(gpu), tp, 2048, 128, "fused")


BARE = {
    "step_const_s": 1e-3,
    "sequence_s": 10e-6,
    "matmul_const_s": 2.5e-6,
    "linear_bandwidth_efficiency": 0.8,
    "linear_flops_efficiency": 0.75,
    "roofline_exponent": 1.6,
    "tile_rounding": 0.5,
    "wave_rounding": 0.25,
    "elementwise_const_s": 8e-6,
    "elementwise_bandwidth_efficiency": 0.5,
    "elementwise_exponent": 2.5,
    "attention_passes": 6.0,
    "attention_decode_const_s": 17e-6,
    "attention_decode_s_per_sequence": 0.2e-6,
    "attention_decode_bandwidth_efficiency": 0.78,
}


def load_bare(**changes: float) -> GpuConfig:
    """An A100-80GB whose constants are round numbers."""
    gpu = load_gpu()
    return gpu.model_copy(update={"step": gpu.step.model_copy(update=BARE | changes)})


def test_a_decode_step_of_llama_8b_is_the_sum_computed_by_hand() -> None:
    n, context, sms = 16, 1000, 108

    def product(rows: int, inputs: int, outputs: int) -> float:
        tiles = rows / 128 + 0.5 * (math.ceil(rows / 128) - rows / 128)
        waves = tiles * outputs / 128 / sms
        waves += 0.25 * (math.ceil(waves) - waves)
        memory_s = 2 * inputs * outputs / (2.039e12 * 0.8)
        compute_s = waves * sms * 2 * 128 * 128 * inputs / (312e12 * 0.75)
        return (memory_s**1.6 + compute_s**1.6) ** (1 / 1.6)

    shapes = [(4096, 4096 + 2 * 1024), (4096, 4096), (4096, 2 * 14336), (14336, 4096)]
    linear = sum(2.5e-6 + product(n, *shape) for shape in shapes)
    token_s = 2 * (10 * 4096 + 2 * (32 + 8) * 128 + 3 * 14336) / (2.039e12 * 0.5)
    element = ((8e-6 + sms * token_s) ** 2.5 + (n * token_s) ** 2.5) ** (1 / 2.5)
    attention = 17e-6 + 0.2e-6 * n + n * context * 4 * 8 * 128 / (2.039e12 * 0.78) + 6 * 2 * 4096 * n / 2.039e12
    expected_s = 1e-3 + 10e-6 * n + 32 * (linear + element + attention) + product(n, 4096, 128256)
    tables = step_tables(load_architecture("Llama-3.1-8B"), load_bare(), 1, 64, 64, "fused")
    assert step_time_s(tables, [], [context] * n) == pytest.approx(expected_s, rel=1e-12)


def test_a_product_takes_a_step_where_a_tile_fills_up() -> None:
    gpu = load_bare(tile_rounding=1.0, wave_rounding=0.0, matmul_const_s=0.0)
    below, at, above = matmul_s(gpu, np.array([64.0, 128.0, 129.0]), 4096.0, 4096.0)
    assert below == at
    assert above > 1.2 * at


def test_waves_that_are_not_full_cost_time() -> None:
    free, paid = (matmul_s(load_bare(wave_rounding=part), np.array([640.0]), 4096.0, 4096.0)[0] for part in (0.0, 1.0))
    # 5 x 32 tiles on 108 multiprocessors are 1.48 waves, which take as long as two.
    assert 1.2 < paid / free < 2 / 1.48


def test_no_product_outruns_the_machine() -> None:
    gpu = load_gpu()
    for tokens in (1.0, 16.0, 300.0, 4096.0):
        (seconds,) = matmul_s(gpu, np.array([tokens]), 4096.0, 11008.0)
        assert 2 * tokens * 4096 * 11008 / seconds < gpu.peak_flops_per_s
        assert 2 * 4096 * 11008 / seconds < gpu.hbm_bytes_per_s


def test_a_prefill_chunk_attends_to_what_came_before_it() -> None:
    tables = load_tables("Llama-3.1-8B")
    first_s = step_time_s(tables, [(1024, 0)], [])
    later_s = step_time_s(tables, [(1024, 8192)], [])
    efficiency = load_gpu().step.attention_prefill_flops_efficiency
    assert later_s - first_s == pytest.approx(32 * 4 * 32 * 128 * 1024 * 8192 / (312e12 * efficiency), rel=1e-9)


def test_steps_grow_with_their_tokens_and_nothing_costs_nothing() -> None:
    for name in ("Llama-3.1-8B", "Qwen3-30B-A3B"):
        tables = load_tables(name)
        assert tables.step_s[0] == tables.sample_s[0] == 0.0
        assert np.all(np.diff(tables.step_s) > 0)
        assert np.all(np.diff(tables.sample_s) > 0)


def test_tensor_parallelism_speeds_up_large_steps_by_less_than_its_degree() -> None:
    one, four = load_tables("Llama-3-70B").step_s[2048], load_tables("Llama-3-70B", tp=4).step_s[2048]
    assert 2.0 < one / four < 4.0


def test_an_all_reduce_is_a_ring_and_costs_nothing_on_one_gpu() -> None:
    gpu = load_bare(allreduce_const_s=6e-6, allreduce_bus_bytes_per_s=180e9)
    sizes = np.array([0.0, 180e9])
    assert np.array_equal(allreduce_s(gpu, 1, sizes), np.zeros(2))
    assert allreduce_s(gpu, 2, sizes) == pytest.approx([6e-6, 1 + 6e-6])
    assert allreduce_s(gpu, 8, sizes) == pytest.approx([6e-6, 1.75 + 6e-6])


def test_slower_memory_slows_decoding_but_not_large_prefills() -> None:
    fast, slow = load_tables("Llama-3.1-8B"), load_tables("Llama-3.1-8B", "A100-40GB")
    assert slow.step_s[1] / fast.step_s[1] > 1.15
    assert slow.step_s[2048] / fast.step_s[2048] < 1.05


def load_with_experts(**changes: float) -> GpuConfig:
    """An A100-80GB whose two kinds of expert kernels have constants of round numbers."""
    gpu = load_gpu()
    fused = ExpertCoefficients(const_s=40e-6, bandwidth_efficiency=0.9, flops_efficiency=0.4, roofline_exponent=1.0)
    grouped = ExpertCoefficients(const_s=200e-6, bandwidth_efficiency=0.8, flops_efficiency=0.7, roofline_exponent=1.5)
    kernels = ExpertKernels(fused=fused.model_copy(update=changes), grouped=grouped)
    return gpu.model_copy(update={"step": gpu.step.model_copy(update={"experts": kernels})})


def test_a_moe_layer_reads_more_experts_as_tokens_grow_and_at_most_all() -> None:
    moe = load_architecture("Mixtral-8x7B")
    # So much compute that only reading takes time.
    gpu = load_with_experts(const_s=0.0, bandwidth_efficiency=1.0).model_copy(update={"peak_flops_per_s": 1e20})
    one, many = experts_s(moe, gpu, 1, np.array([1.0, 1000.0]), "fused")
    assert one == pytest.approx(2 * (moe.router_parameters + 2 * moe.ffn_parameters) / 2.039e12, rel=1e-3)
    assert many == pytest.approx(2 * (moe.router_parameters + 8 * moe.ffn_parameters) / 2.039e12, rel=1e-3)


def test_a_sparse_layer_costs_more_than_a_dense_one_of_one_expert() -> None:
    moe, gpu = load_architecture("Mixtral-8x7B"), load_gpu()
    dense = moe.model_copy(update={"experts": 0, "experts_per_token": 0})
    one = np.array([1.0])
    for kernel in get_args(MoeKernel):
        assert linear_s(dense, gpu, 1, one) < linear_s(moe, gpu, 1, one) + experts_s(moe, gpu, 1, one, kernel)


def test_each_kind_of_expert_kernel_has_its_own_roofline() -> None:
    moe, gpu, n = load_architecture("Mixtral-8x7B"), load_with_experts(), 64.0
    read = 8 * (1 - 0.75**n) * moe.ffn_parameters + moe.router_parameters
    memory_s = 2 * read / 2.039e12
    compute_s = 2 * n * (2 * moe.ffn_parameters + moe.router_parameters) / 312e12
    fused_s = 40e-6 + memory_s / 0.9 + compute_s / 0.4
    grouped_s = 200e-6 + ((memory_s / 0.8) ** 1.5 + (compute_s / 0.7) ** 1.5) ** (1 / 1.5)
    assert experts_s(moe, gpu, 1, np.array([n]), "fused") == pytest.approx(fused_s, rel=1e-12)
    assert experts_s(moe, gpu, 1, np.array([n]), "grouped") == pytest.approx(grouped_s, rel=1e-12)
    fused, grouped = (step_tables(moe, gpu, 1, 64, 8, kernel).step_s[64] for kernel in get_args(MoeKernel))
    assert grouped - fused == pytest.approx(moe.layers * (grouped_s - fused_s), rel=1e-9)


def profiles_dir() -> Path:
    root = Path(os.environ.get("MAESTRO_DATA", Path(__file__).resolve().parents[3] / "shared"))
    folder = root / "profiles" / "vidur" / "a100"
    if not folder.is_dir():
        pytest.skip("the measured profiles are not here; set MAESTRO_DATA to the folder that holds `profiles`")
    return folder


LINEAR = ("attn_pre_proj", "attn_post_proj", "mlp_up_proj", "mlp_down_proj")


@pytest.mark.parametrize("model", ["Llama-2-7b-hf", "Meta-Llama-3-8B", "internlm-20b", "Llama-2-70b-hf"])
def test_linear_layers_are_near_the_measured_ones(model: str) -> None:
    with (profiles_dir() / model / "mlp.csv").open() as file:
        rows = list(csv.DictReader(file))
    shape = {key: int(rows[0][key]) for key in ("n_head", "n_kv_head", "n_embd", "n_expanded_embd", "vocab_size")}
    architecture = ArchitectureConfig(
        layers=1,
        hidden=shape["n_embd"],
        heads=shape["n_head"],
        kv_heads=shape["n_kv_head"],
        head_dim=shape["n_embd"] // shape["n_head"],
        ffn=shape["n_expanded_embd"],
        vocab=shape["vocab_size"],
        max_model_len=4096,
    )
    errors = []
    for tp in (1, 2, 4):
        own = [row for row in rows if int(row["num_tensor_parallel_workers"]) == tp]
        tokens = np.array([float(row["num_tokens"]) for row in own])
        measured_s = np.array([sum(float(row[f"time_stats.{op}.median"]) for op in LINEAR) for row in own]) * 1e-3
        errors.append(np.abs(linear_s(architecture, load_gpu(), tp, tokens) / measured_s - 1))
        # What the element-wise term also covers (cache writes, sampling of positions) is not in these rows.
        assert np.all(elementwise_s(architecture, load_gpu(), tp, tokens) > 0)
    assert np.median(np.concatenate(errors)) < 0.045
