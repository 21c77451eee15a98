"""The step model: hand-computed values, limits, and the layer timings it was fitted to."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.config import ArchitectureConfig, GpuConfig, find_config, read_yaml
from maestro_gym.sim.performance import StepTables, allreduce_s, elementwise_s, linear_s, step_tables, step_time_s


def load_gpu(name: str = "A100-80GB") -> GpuConfig:
    return GpuConfig.model_validate(read_yaml(find_config("hardware/gpus", name, "test")))


def load_architecture(name: str) -> ArchitectureConfig:
    return ArchitectureConfig.model_validate(read_yaml(find_config("models", name, "test")))


def load_tables(name: str, gpu: str = "A100-80GB", tp: int = 1) -> StepTables:
    return step_tables(load_architecture(name), load_gpu(gpu), tp, 2048, 128)


def test_a_decode_step_of_llama_8b_is_the_sum_computed_by_hand() -> None:
    n, context = 16, 1000
    weights = 4096 * (2 * 4096 + 2 * 1024) + 3 * 4096 * 14336
    memory_s, compute_s = 2 * weights / (2.039e12 * 0.785), 2 * weights * n / (312e12 * 0.739)
    linear = 10.4e-6 + (memory_s**1.66 + compute_s**1.66) ** (1 / 1.66)
    element = 26.9e-6 + 0.23e-6 * n * (0.28 + 0.72)
    attention = 17e-6 + 0.2e-6 * n + n * context * 4 * 8 * 128 / (2.039e12 * 0.78)
    head = 128256 * 4096
    lmhead = ((2 * head / (2.039e12 * 0.785)) ** 1.66 + (2 * head * n / (312e12 * 0.739)) ** 1.66) ** (1 / 1.66)
    expected_s = 1e-3 + 10e-6 * n + 32 * (linear + element + attention) + lmhead
    assert step_time_s(load_tables("Llama-3.1-8B"), [], [context] * n) == pytest.approx(expected_s, rel=1e-12)


def test_a_prefill_chunk_attends_to_what_came_before_it() -> None:
    tables = load_tables("Llama-3.1-8B")
    first_s = step_time_s(tables, [(1024, 0)], [])
    later_s = step_time_s(tables, [(1024, 8192)], [])
    assert later_s - first_s == pytest.approx(32 * 4 * 32 * 128 * 1024 * 8192 / (312e12 * 0.52), rel=1e-9)


def test_steps_grow_with_their_tokens_and_nothing_costs_nothing() -> None:
    for name in ("Llama-3.1-8B", "Qwen3-30B-A3B"):
        tables = load_tables(name)
        assert tables.step_s[0] == tables.sample_s[0] == 0.0
        assert np.all(np.diff(tables.step_s) > 0)
        assert np.all(np.diff(tables.sample_s) > 0)


def test_tensor_parallelism_speeds_up_large_steps_by_less_than_its_degree() -> None:
    one, four = load_tables("Llama-3-70B").step_s[2048], load_tables("Llama-3-70B", tp=4).step_s[2048]
    assert 2.0 < one / four < 4.0


def test_all_reduce_costs_nothing_on_one_gpu() -> None:
    sizes = np.array([0.0, 178e9])
    assert np.array_equal(allreduce_s(load_gpu(), 1, sizes), np.zeros(2))
    assert allreduce_s(load_gpu(), 2, sizes) == pytest.approx([6e-6, 1 + 6e-6])


def test_slower_memory_slows_decoding_but_not_large_prefills() -> None:
    fast, slow = load_tables("Llama-3.1-8B"), load_tables("Llama-3.1-8B", "A100-40GB")
    assert slow.step_s[1] / fast.step_s[1] > 1.2
    assert slow.step_s[2048] / fast.step_s[2048] < 1.05


def test_a_moe_layer_reads_more_experts_as_tokens_grow_and_at_most_all() -> None:
    moe, gpu = load_architecture("Mixtral-8x7B"), load_gpu()
    one, many = linear_s(moe, gpu, 1, np.array([1.0, 64.0]))
    everything_s = 2 * (moe.attention_parameters + moe.router_parameters + 8 * moe.ffn_parameters) / (2.039e12 * 0.785)
    two_experts_s = 2 * (moe.attention_parameters + moe.router_parameters + 2 * moe.ffn_parameters) / (2.039e12 * 0.785)
    assert one - 10.4e-6 == pytest.approx(two_experts_s, rel=0.02)
    assert many > everything_s
    dense = moe.model_copy(update={"experts": 0, "experts_per_token": 0})
    assert linear_s(dense, gpu, 1, np.array([1.0])) < one


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
    assert np.median(np.concatenate(errors)) < 0.06
