"""The catalogue: hyper-parameters that add up to the published sizes."""

from __future__ import annotations

import pytest

from maestro_gym.config import ArchitectureConfig, GpuConfig, HostConfig, config_names, find_config, read_yaml

# Parameters as the model cards state them, in billions.
PUBLISHED_PARAMETERS = {
    "CodeLlama-34B": 33.74,
    "Gemma-2-27B": 27.23,
    "Gemma-2-9B": 9.24,
    "Gemma-3-12B": 12.19,
    "Gemma-3-27B": 27.43,
    "Gemma-3-4B": 4.30,
    "Llama-2-13B": 13.02,
    "Llama-2-70B": 68.98,
    "Llama-2-7B": 6.74,
    "Llama-3-70B": 70.55,
    "Llama-3.1-8B": 8.03,
    "Llama-3.2-1B": 1.236,
    "Llama-3.2-3B": 3.21,
    "Mistral-7B": 7.25,
    "Mistral-Small-24B": 23.57,
    "Mixtral-8x7B": 46.70,
    "OPT-13B": 12.85,
    "OPT-175B": 174.6,
    "OPT-66B": 65.7,
    "Phi-3-vision": 4.147,
    "Phi-3.5-mini": 3.82,
    "Phi-4": 14.66,
    "Qwen2.5-14B": 14.77,
    "Qwen2.5-32B": 32.76,
    "Qwen2.5-3B": 3.09,
    "Qwen2.5-72B": 72.71,
    "Qwen2.5-7B": 7.62,
    "Qwen3-0.6B": 0.596,
    "Qwen3-1.7B": 1.721,
    "Qwen3-14B": 14.77,
    "Qwen3-30B-A3B": 30.53,
    "Qwen3-32B": 32.76,
    "Qwen3-4B": 4.02,
    "Qwen3-8B": 8.19,
}


def load_architecture(name: str) -> ArchitectureConfig:
    return ArchitectureConfig.model_validate(read_yaml(find_config("models", name, "test")))


def test_every_architecture_has_a_published_size() -> None:
    assert set(config_names("models")) == set(PUBLISHED_PARAMETERS)


@pytest.mark.parametrize("name", sorted(PUBLISHED_PARAMETERS))
def test_derived_parameter_count_matches_the_model_card(name: str) -> None:
    assert load_architecture(name).parameters / 1e9 == pytest.approx(PUBLISHED_PARAMETERS[name], rel=0.003)


def test_kv_bytes_of_llama_8b_are_128_kib_a_token() -> None:
    llama = load_architecture("Llama-3.1-8B")
    assert llama.kv_bytes_per_token == 2 * 32 * 8 * 128 * 2 == 128 * 1024


def test_tensor_parallelism_divides_weights_and_replicates_scarce_kv_heads() -> None:
    qwen = load_architecture("Qwen2.5-3B")  # two KV heads
    assert qwen.weight_bytes_per_gpu(4) == qwen.weight_bytes / 4
    assert qwen.kv_bytes_per_token_per_gpu(2) == qwen.kv_bytes_per_token / 2
    assert qwen.kv_bytes_per_token_per_gpu(8) == qwen.kv_bytes_per_token / 2


def test_hardware_files_are_valid() -> None:
    for name in config_names("hardware/gpus"):
        GpuConfig.model_validate(read_yaml(find_config("hardware/gpus", name, "test")))
    for name in config_names("hardware/hosts"):
        HostConfig.model_validate(read_yaml(find_config("hardware/hosts", name, "test")))


def test_a_cold_start_of_llama_2_13b_takes_what_the_profile_measured() -> None:
    gpu = GpuConfig.model_validate(read_yaml(find_config("hardware/gpus", "A100-80GB", "test")))
    llama = load_architecture("Llama-2-13B")
    costs = gpu.residency
    start_s = costs.cpu_base_s + costs.cpu_s_per_gb * llama.weight_bytes / 1e9 + costs.cpu_s_per_layer * llama.layers
    assert start_s == pytest.approx(58.71, rel=0.04)
