"""Bounds that no machine passes: peak FLOP/s, bandwidth, memory; and what prefixes cost."""

from __future__ import annotations

from itertools import product
from typing import get_args

import numpy as np
import pytest

from maestro_gym.config import (
    ArchitectureConfig,
    GpuConfig,
    MoeKernel,
    config_names,
    find_config,
    load_scenario,
    read_yaml,
)
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.performance.step_tables import StepTables, step_tables, step_time_s
from tests.sim.conftest import Call, make_episode, run_hand_made

MODELS = config_names("models")
GPUS = config_names("hardware/gpus")
MOE_KERNELS: tuple[MoeKernel, ...] = get_args(MoeKernel)
BATCHES = (1, 2, 7, 16, 64, 128)


def architecture_of(name: str) -> ArchitectureConfig:
    return ArchitectureConfig.model_validate(read_yaml(find_config("models", name, "test")))


def gpu_of(name: str) -> GpuConfig:
    return GpuConfig.model_validate(read_yaml(find_config("hardware/gpus", name, "test")))


def parameters_of(model: ArchitectureConfig, tokens: float) -> tuple[float, float]:
    """Parameters that a step of so many tokens reads, and multiplies a token by; the output matrix apart."""
    shared = model.attention_parameters + model.router_parameters
    share = model.experts_per_token / model.experts if model.experts else 1.0
    experts = model.experts or 1
    read = shared + experts * (1 - (1 - share) ** tokens) * model.ffn_parameters
    return model.layers * read, model.layers * (shared + experts * share * model.ffn_parameters)


@pytest.mark.parametrize("gpu_name", GPUS)
@pytest.mark.parametrize("model_name", MODELS)
def test_no_step_passes_the_peak_of_its_gpu(model_name: str, gpu_name: str) -> None:
    model, gpu, context = architecture_of(model_name), gpu_of(gpu_name), 1000
    head = model.vocab * model.hidden
    for tp, kernel in product((1, 2, 4, 8), MOE_KERNELS if model.experts else MOE_KERNELS[:1]):
        tables = step_tables(model, gpu, tp, 2048, 128, kernel)
        kv_bytes = model.kv_bytes_per_token_per_gpu(tp)
        for batch in BATCHES:
            read, multiplied = parameters_of(model, batch)
            step_s = step_time_s(tables, [], [context] * batch)
            attention = 4 * model.heads * model.head_dim * context * model.layers
            flops = batch * (2 * (multiplied + head) + attention) / tp
            moved_bytes = 2 * (read + head) / tp + batch * context * kv_bytes
            assert step_s * gpu.peak_flops_per_s >= flops
            assert step_s * gpu.hbm_bytes_per_s >= moved_bytes
        for chunk in (16, 512, 2048):
            read, multiplied = parameters_of(model, chunk)
            step_s = step_time_s(tables, [(chunk, context)], [], 1)
            attention = 4 * model.heads * model.head_dim * model.layers * chunk * (context + chunk / 2)
            assert step_s * gpu.peak_flops_per_s >= (2 * (multiplied * chunk + head) + attention) / tp
            assert step_s * gpu.hbm_bytes_per_s >= 2 * (read + head) / tp


@pytest.mark.parametrize("gpu_name", GPUS)
def test_there_is_a_gap_between_steps(gpu_name: str) -> None:
    gpu = gpu_of(gpu_name)
    assert gpu.step.step_const_s > 0
    assert np.all(step_tables(architecture_of(MODELS[0]), gpu, 1, 64, 8, "fused").step_s[1:] > gpu.step.step_const_s)


def tables_of(config_scenario: Scenario) -> StepTables:
    config = config_scenario.config
    model = config.architectures[config.models[0].architecture]
    limits = config.limits
    sizes = limits.max_num_batched_tokens, limits.max_num_seqs
    return step_tables(model, config.gpus["A100-80GB"], 1, *sizes, limits.moe_kernel)


def finish_times_s(bandwidth_factor: float, calls: list[Call]) -> np.ndarray:
    """Of calls that come together to one engine."""
    bandwidth = bandwidth_factor * gpu_of("A100-80GB").hbm_bytes_per_s
    scenario = Scenario.load("toy", [f"gpus.A100-80GB.hbm_bytes_per_s={bandwidth}"])
    state = run_hand_made(scenario, make_episode([(0.0, [call]) for call in calls])).state
    return state.visible.stages[0]["finished_s"][: len(calls)]


def test_more_bandwidth_slows_nothing() -> None:
    calls = [Call(100 + 317 * i, 3 + 29 * i) for i in range(12)]
    slow, fast, faster = (finish_times_s(factor, calls) for factor in (0.5, 1.0, 2.0))
    assert np.all(fast < slow)
    assert np.all(faster < fast)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("Qwen2.5-7B", 1_045_632), ("Llama-2-7B", 119_408)],
    ids=["vLLM 0.15.1", "an older vLLM"],
)
def test_the_kv_budget_is_what_engines_log(model: str, tokens: int) -> None:
    config = load_scenario("quick", [f"models=[{{name: a, architecture: {model}}}]"])
    assert config.kv_room_tokens(config.models[0], config.host_groups[0]) == pytest.approx(tokens, rel=0.03)


def test_cached_tokens_cost_no_compute_but_are_attended() -> None:
    overrides = ["limits.api_s=0.0", "fleet.local_latency_s=0.0", "fleet.clusters.solo.hosts.0.nodes=1"]
    scenario = Scenario.load("toy", [*overrides, "fleet.link_bytes_per_s=1.0e+30"])
    calls = [Call(1600, 33, ctx=(7, 0)), Call(1700, 5, parents=[0], ctx=(7, 1632))]
    second = run_hand_made(scenario, make_episode([(0.0, calls)])).state.visible.stages[0, 1]
    hit, tables = int(second["prefix_hit_tokens"]), tables_of(scenario)
    assert hit == 1632
    took_s = second["first_token_s"] - second["admitted_s"]
    assert took_s == pytest.approx(step_time_s(tables, [(1700 - hit, hit)], [], 1), abs=1e-9)
    assert took_s > step_time_s(tables, [(1700 - hit, 0)], [], 1)
    assert took_s < step_time_s(tables, [(1700, 0)], [], 1)
