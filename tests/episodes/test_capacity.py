"""Capacity: the closed form against a saturated node replayed step by step."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.config import find_config, load_scenario, read_yaml
from maestro_gym.config.hardware import ArchitectureConfig, GpuConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.capacity import capacity_rps, node_rate_rps
from maestro_gym.performance.step_tables import StepTables, step_tables, step_time_s


def load_tables(name: str) -> StepTables:
    architecture = ArchitectureConfig.model_validate(read_yaml(find_config("models", name, "test")))
    gpu = GpuConfig.model_validate(read_yaml(find_config("hardware/gpus", "A100-80GB", "test")))
    return step_tables(architecture, gpu, 1, 2048, 128, "fused")


def replayed_rate_rps(tables: StepTables, kv_tokens: int, prompt: int, output: int) -> float:
    """Serve equal stages on a node that never lacks work: decodes first, then chunks of prompts."""
    slots = max(1, min(len(tables.sample_s) - 1, kv_tokens // (prompt + output)))
    budget = len(tables.step_s) - 1
    # [prompt tokens done, tokens generated], started at spread-out ages to skip the transient.
    batch = [[prompt, 1 + (output - 1) * slot // slots] if output > 1 else [0, 0] for slot in range(slots)]
    seconds, finished, warm = 0.0, 0, 0.0
    finished_warm = 0
    goal = 6 * slots
    while finished < goal:
        decoding = [item for item in batch if item[0] == prompt]
        prefills, room, ended = [], budget - len(decoding), []
        for item in batch:
            if item[0] < prompt and room > 0:
                chunk = min(prompt - item[0], room)
                prefills.append((chunk, item[0]))
                item[0] += chunk
                room -= chunk
                if item[0] == prompt:
                    ended.append(item)
        seconds += step_time_s(tables, prefills, [prompt + item[1] for item in decoding], len(ended))
        for item in decoding + ended:
            item[1] += 1
            if item[1] >= output:
                item[:] = [0, 0]
                finished += 1
        if finished <= goal // 3:
            warm, finished_warm = seconds, finished
    return (finished - finished_warm) / (seconds - warm)


@pytest.mark.parametrize(
    ("model", "kv_tokens", "prompt", "output"),
    [
        ("Llama-3.1-8B", 440_000, 1000, 300),
        ("Llama-3.1-8B", 440_000, 5000, 200),
        ("Llama-3.1-8B", 440_000, 300, 800),
        ("Llama-3.1-8B", 440_000, 1500, 10),
        ("Llama-3.1-8B", 440_000, 600, 1),
        ("Qwen2.5-32B", 32_000, 3000, 480),
        ("Qwen2.5-32B", 32_000, 20_000, 100),
        ("Qwen3-30B-A3B", 130_000, 3000, 480),
    ],
)
def test_a_saturated_node_serves_as_many_stages_as_the_closed_form_says(
    model: str, kv_tokens: int, prompt: int, output: int
) -> None:
    tables = load_tables(model)
    expected = replayed_rate_rps(tables, kv_tokens, prompt, output)
    assert node_rate_rps(tables, kv_tokens, prompt, output) == pytest.approx(expected, rel=0.12)


def test_capacity_is_nodes_over_the_mean_time_of_a_stage() -> None:
    config = load_scenario("quick", ["models=[{name: a, architecture: Llama-3.1-8B}, {name: b, architecture: Phi-4}]"])
    share, prompt, output = np.array([0.75, 0.25]), np.array([1000.0, 2000.0]), np.array([300.0, 200.0])
    rates = [
        node_rate_rps(load_tables(item.architecture), config.kv_room_tokens(item, config.host_groups[0]), *lengths)
        for item, lengths in zip(config.models, zip(prompt, output, strict=True), strict=True)
    ]
    expected_rps = 8 / (0.75 / rates[0] + 0.25 / rates[1]) / 3.0
    assert capacity_rps(config, share, prompt, output, 3.0) == pytest.approx(expected_rps)


def test_models_that_nobody_asks_for_do_not_count() -> None:
    config = load_scenario("quick", ["models=[{name: a, architecture: Llama-3.1-8B}, {name: b, architecture: Phi-4}]"])
    lengths = np.full(2, 500.0)
    alone = capacity_rps(config, np.array([1.0, 0.0]), lengths, lengths, 1.0)
    assert alone > capacity_rps(config, np.array([0.5, 0.5]), lengths, lengths, 1.0)


def test_more_nodes_of_a_second_kind_add_their_own_capacity() -> None:
    models = "models=[{name: a, architecture: Llama-3.1-8B}]"
    lengths = np.full(1, 500.0)
    one = load_scenario("quick", [models, "fleet.clusters.west.hosts.0.gpu=A100-40GB"])
    all_large = load_scenario("quick", [models])
    mixed = capacity_rps(one, np.ones(1), lengths, lengths, 1.0)
    large = capacity_rps(all_large, np.ones(1), lengths, lengths, 1.0)
    assert large / 2 < mixed < large


def test_a_mix_without_a_hosted_model_is_an_error() -> None:
    config = load_scenario("quick")
    zeros = np.zeros(len(config.models))
    with pytest.raises(MaestroError, match="capacity is zero"):
        capacity_rps(config, zeros, zeros + 10, zeros + 10, 1.0)
