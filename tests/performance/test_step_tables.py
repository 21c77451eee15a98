"""The step model: hand-computed values, limits, and the layer timings it was fitted to."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from maestro_gym.config import ArchitectureConfig, GpuConfig, MoeKernel, find_config, read_yaml
from maestro_gym.config.step_coefficients import (
    AllReduceTimes,
    DecodeAttention,
    ExpertCoefficients,
    ExpertKernels,
    ExpertShape,
    MatmulTiles,
    StepCoefficients,
    Tile,
)
from maestro_gym.performance.operators import allreduce_s, elementwise_s, experts_s, linear_s, matmul_s
from maestro_gym.performance.step_tables import StepTables, decode_attention, step_tables, step_time_s


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
    "tiles": MatmulTiles(
        large=Tile(rows=128, columns=256, efficiency=1.0),
        medium=Tile(rows=128, columns=128, efficiency=0.9),
        small=Tile(rows=64, columns=128, efficiency=0.8),
    ),
    "wave_s": 2e-6,
    "split_passes": 0.5,
    "elementwise_const_s": 8e-6,
    "elementwise_bandwidth_efficiency": 0.5,
    "elementwise_exponent": 2.5,
    "attention_passes": 4.0,
    "attention_kv_passes": 7.0,
    "attention_decode_const_s": 17e-6,
    "attention_decode_s_per_sequence": 0.2e-6,
    "attention_decode_bandwidth_efficiency": 0.78,
}


def load_bare(**changes: Any) -> GpuConfig:  # noqa: ANN401 - a number, tiles or a table
    """An A100-80GB whose constants are round numbers."""
    gpu = load_gpu()
    return gpu.model_copy(update={"step": gpu.step.model_copy(update=BARE | changes)})


def test_a_decode_step_of_llama_8b_is_the_sum_computed_by_hand() -> None:
    n, context, sms = 16, 1000, 108

    def product(rows: int, inputs: int, outputs: int) -> float:
        memory_s = (2 * inputs * outputs + 2 * rows * (inputs + outputs)) / (2.039e12 * 0.8)
        kernels = []
        for high, wide, share in ((128, 256, 1.0), (128, 128, 0.9), (64, 128, 0.8)):
            for split in (1, 2, 3, 4, 6, 8):
                waves = math.ceil(math.ceil(rows / high) * math.ceil(outputs / wide) * split / sms)
                wave_s = sms * 2 * high * wide * (inputs / split) / (312e12 * 0.75 * share) + 2e-6
                sums_s = split * 0.5 * 4 * rows * outputs / 2.039e12 if split > 1 else 0.0
                kernels.append((memory_s**1.6 + (waves * wave_s) ** 1.6) ** (1 / 1.6) + sums_s)
        return min(kernels)

    shapes = [(4096, 4096 + 2 * 1024), (4096, 4096), (4096, 2 * 14336), (14336, 4096)]
    linear = sum(2.5e-6 + product(n, *shape) for shape in shapes)
    token_s = 2 * (10 * 4096 + 2 * (32 + 8) * 128 + 3 * 14336) / (2.039e12 * 0.5)
    element = ((8e-6 + sms * token_s) ** 2.5 + (n * token_s) ** 2.5) ** (1 / 2.5)
    attention = 17e-6 + 0.2e-6 * n + n * context * 4 * 8 * 128 / (2.039e12 * 0.78)
    attention += (4 * 32 + 7 * 8) * 128 * 2 * n / 2.039e12
    expected_s = 1e-3 + 10e-6 * n + 32 * (linear + element + attention) + product(n, 4096, 128256)
    tables = step_tables(load_architecture("Llama-3.1-8B"), load_bare(), 1, 64, 64, "fused")
    assert step_time_s(tables, [], [context] * n) == pytest.approx(expected_s, rel=1e-12)


def test_few_sequences_of_few_heads_do_not_reach_the_bandwidth() -> None:
    law = DecodeAttention(batch_heads=[8.0, 128.0], const_s=[10e-6, 20e-6], bandwidth_efficiency=[0.2, 0.8])
    gpu, llama = load_bare(attention_decode=law), load_architecture("Llama-3.1-8B")
    at = decode_attention(llama, gpu, 1, np.array([1.0, 4.0, 16.0, 256.0]))
    # Eight KV heads of 128: on the first place, in the middle in logarithms, on the last, and far beyond it.
    assert at["const_s"] == pytest.approx(32 * 10e-6 * np.array([1.0, math.sqrt(2.0), 2.0, 2.0]))
    assert at["s_per_token"] == pytest.approx(32 * 4 * 8 * 128 / (2.039e12 * np.array([0.2, 0.4, 0.8, 0.8])))
    # Over four GPUs each has two heads of every sequence, so four sequences are as one was.
    cut = decode_attention(llama, gpu, 4, np.array([4.0]))
    assert cut["const_s"] == pytest.approx(at["const_s"][:1])
    assert 4 * cut["s_per_token"] == pytest.approx(at["s_per_token"][:1])


def test_a_product_takes_a_step_where_a_wave_fills_up() -> None:
    # 12,288 outputs are 48 tiles of 256: 256 rows make 96 of them, one wave of 108 multiprocessors, and 257 make two.
    gpu = load_bare(matmul_const_s=0.0, linear_bandwidth_efficiency=1.0)
    one, same, two = matmul_s(gpu, np.array([160.0, 256.0, 257.0]), 4096.0, 12288.0)
    assert one == pytest.approx(same, rel=0.04)
    assert two > 1.3 * same


def test_a_product_is_cut_where_its_tiles_leave_multiprocessors_idle() -> None:
    whole, cut = (
        matmul_s(load_bare(split_passes=passes), np.array([256.0]), 8192.0, 8192.0)[0] for passes in (100.0, 0.5)
    )
    # 64 large tiles are one wave; cut into three they are two waves of a third each.
    assert 0.6 < cut / whole < 0.9


def test_a_library_takes_smaller_tiles_for_fewer_rows() -> None:
    gpu = load_bare(matmul_const_s=0.0, wave_s=0.0, linear_bandwidth_efficiency=1.0, roofline_exponent=20.0)
    few, many = matmul_s(gpu, np.array([64.0, 128.0]), 65536.0, 1024.0)
    assert few < many


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
    gpu = load_bare(allreduce=[], allreduce_const_s=6e-6, allreduce_bus_bytes_per_s=180e9)
    sizes = np.array([0.0, 180e9])
    assert np.array_equal(allreduce_s(gpu, 1, sizes), np.zeros(2))
    assert allreduce_s(gpu, 2, sizes) == pytest.approx([6e-6, 1 + 6e-6])
    assert allreduce_s(gpu, 8, sizes) == pytest.approx([6e-6, 1.75 + 6e-6])


def test_measured_all_reduces_are_interpolated_between_sizes_and_between_gpus() -> None:
    pair = AllReduceTimes(tp=2, num_bytes=[1e3, 1e5, 1e6], seconds=[4e-6, 4e-6, 40e-6])
    eight = AllReduceTimes(tp=8, num_bytes=[1e3, 1e5, 1e6], seconds=[16e-6, 16e-6, 160e-6])
    gpu = load_bare(allreduce=[eight, pair])
    sizes = np.array([10.0, 1e4, 1e6, 1e7])
    assert allreduce_s(gpu, 2, sizes) == pytest.approx([4e-6, 4e-6, 40e-6, 400e-6])
    assert allreduce_s(gpu, 4, sizes) == pytest.approx([8e-6, 8e-6, 80e-6, 800e-6])
    # Sixteen GPUs move 2*15/16 of the bytes where eight move 2*7/8.
    assert allreduce_s(gpu, 16, sizes) == pytest.approx(np.array([16e-6, 16e-6, 160e-6, 1600e-6]) * (15 / 16) / (7 / 8))
    assert np.array_equal(allreduce_s(gpu, 1, sizes), np.zeros(4))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"tp": 2, "num_bytes": [1.0, 2.0], "seconds": [1.0, 0.5]}, "not fall"),
        ({"tp": 2, "num_bytes": [2.0, 1.0], "seconds": [1.0, 1.0]}, "ascend"),
        ({"tp": 2, "num_bytes": [1.0, 2.0, 3.0], "seconds": [1.0, 1.0]}, "one a size"),
    ],
)
def test_a_table_of_all_reduces_that_cannot_be_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StepCoefficients.model_validate({"allreduce": [table]})


def test_slower_memory_slows_decoding_but_not_large_prefills() -> None:
    fast, slow = load_tables("Llama-3.1-8B"), load_tables("Llama-3.1-8B", "A100-40GB")
    assert slow.step_s[1] / fast.step_s[1] > 1.15
    assert slow.step_s[2048] / fast.step_s[2048] < 1.05


def load_with_experts(**changes: Any) -> GpuConfig:  # noqa: ANN401 - a number or shapes
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


def test_tuned_tiles_multiply_faster_uneven_widths_slow_all_and_large_steps_leave_the_cache() -> None:
    moe = load_architecture("Mixtral-8x7B")
    tuned = [ExpertShape(experts=8, ffn=7168)]
    laws = {"tuned": tuned, "tuned_flops_speedup": 1.25, "uneven_slowdown": 1.5, "spill_exponent": 0.5}
    # So much bandwidth that only multiplying takes time.
    plain, changed = (
        load_with_experts(const_s=0.0, **more).model_copy(update={"hbm_bytes_per_s": 1e20}) for more in ({}, laws)
    )

    def ratio(tp: int, tokens: float = 512.0, ffn: int = 14336) -> float:
        layer, step = moe.model_copy(update={"ffn": ffn}), np.array([tokens])
        return float((experts_s(layer, changed, tp, step, "fused") / experts_s(layer, plain, tp, step, "fused"))[0])

    assert ratio(1) == ratio(4) == ratio(1, 4096) == 1.0
    assert ratio(2) == pytest.approx(1 / 1.25)
    # 14,400 over eight GPUs are 1,800 each, no multiple of 16.
    assert ratio(8, ffn=14400) == pytest.approx(1.5)
    assert ratio(1, 16384) == pytest.approx(2.0)


def test_a_sparse_layer_costs_more_than_a_dense_one_of_one_expert() -> None:
    moe, gpu = load_architecture("Mixtral-8x7B"), load_gpu()
    dense = moe.model_copy(update={"experts": 0, "experts_per_token": 0})
    one = np.array([1.0])
    for kernel in get_args(MoeKernel):
        assert linear_s(dense, gpu, 1, one) < linear_s(moe, gpu, 1, one) + experts_s(moe, gpu, 1, one, kernel)


def test_each_kind_of_expert_kernel_has_its_own_roofline() -> None:
    moe, gpu, n = load_architecture("Mixtral-8x7B"), load_with_experts(token_passes=5.0), 64.0
    active = 8 * (1 - 0.75**n)
    memory_s = 2 * (active * moe.ffn_parameters + moe.router_parameters) / 2.039e12
    compute_s = 2 * n * (2 * moe.ffn_parameters + moe.router_parameters) / 312e12
    # 128 choices of 8 experts fill a part of 8 blocks of 64.
    padded_s = 2 * (active * 64 * moe.ffn_parameters + n * moe.router_parameters) / 312e12
    moved_s = 5 * 2 * 2 * n * (4096 + 14336) / 2.039e12
    fused_s = 40e-6 + memory_s / 0.9 + padded_s / 0.4 + moved_s
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
    # These are cuBLAS kernels of 2023; the constants prefer those that vLLM 0.14 runs (docs/fidelity.md).
    assert np.median(np.concatenate(errors)) < 0.07
