"""The scenarios that come with the project keep their promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from maestro_gym.config import CONTENTION_LOADS, dump_config, load_scenario, load_train, scenario_names


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_loads_and_its_dump_loads_to_the_same(name: str, tmp_path: Path) -> None:
    config = load_scenario(name)
    path = tmp_path / "resolved.yaml"
    path.write_text(dump_config(config))
    assert load_scenario(str(path)) == config


@pytest.mark.parametrize("name", ["quick", "paper"])
def test_every_deployment_has_room_for_several_requests_on_some_node(name: str) -> None:
    config = load_scenario(name)
    for deployment in config.models:
        assert max(config.kv_room_tokens(deployment, group) for group in config.host_groups) > 20_000


def test_weights_of_quick_exceed_its_hbm() -> None:
    config = load_scenario("quick")
    hbm_bytes = sum(config.node_pool_bytes(group) * group.count * group.nodes for group in config.host_groups)
    weight_bytes = sum(config.architectures[item.architecture].weight_bytes for item in config.models)
    assert config.fleet.num_nodes == 8
    assert weight_bytes > hbm_bytes


def test_popularity_of_paper_is_skewed_as_in_gentd26() -> None:
    config = load_scenario("paper")
    shares = sorted((deployment.popularity for deployment in config.models), reverse=True)
    assert config.fleet.num_nodes == 64
    assert 60 <= len(shares) <= 90
    assert shares[0] / sum(shares) == pytest.approx(0.31, abs=0.005)
    assert sum(shares[:10]) / sum(shares) == pytest.approx(0.87, abs=0.005)


def test_host_memory_of_paper_holds_most_but_not_all_weights() -> None:
    config = load_scenario("paper")
    weight_gb = sum(config.architectures[item.architecture].weight_bytes for item in config.models) / 1e9
    for host in config.hosts.values():
        assert 0.5 * weight_gb < host.dram_gb < weight_gb


@pytest.mark.parametrize(("contention", "load"), CONTENTION_LOADS.items())
def test_contention_sets_the_offered_load(contention: str, load: float) -> None:
    assert load_scenario("quick", [f"contention={contention}"]).workload.load == load


def test_an_explicit_load_names_its_contention() -> None:
    assert load_scenario("quick", ["workload.load=0.93"]).contention == "custom"
    assert load_scenario("quick", ["workload.load=1.1"]).contention == "high"


def test_contention_of_a_resolved_scenario_can_still_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "resolved.yaml"
    path.write_text(dump_config(load_scenario("quick", ["contention=high"])))
    assert load_scenario(str(path), ["contention=low"]).workload.load == 0.5


def test_a_trace_takes_the_place_of_the_family() -> None:
    workload = load_scenario("quick", ["workload.trace=calls.csv"]).workload
    assert (workload.family, workload.trace) == (None, "calls.csv")


def test_a_trace_lies_beside_the_scenario_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text("")
    path = tmp_path / "mine.yaml"
    path.write_text("extends: quick\nworkload: {family: null, trace: calls.csv}\n")
    assert load_scenario(str(path)).workload.trace == str(tmp_path / "calls.csv")


def test_a_scenario_can_extend_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"extends": "quick", "limits": {"max_num_seqs": 64}, "horizon_s": 100}))
    config = load_scenario(str(path))
    assert (config.name, config.limits.max_num_seqs, config.horizon_s) == ("mine", 64, 100)
    assert config.models == load_scenario("quick").models


def test_overrides_reach_into_files_that_the_scenario_names() -> None:
    config = load_scenario("quick", ["fleet.clusters.west.hosts.0.nodes=3", "train.total_steps=10", "fleet=quick"])
    assert config.fleet.num_nodes == 8
    config = load_scenario("quick", ["fleet.clusters.west.hosts.0.nodes=3", "train.total_steps=10"])
    assert config.fleet.num_nodes == 7
    assert config.train.total_steps == 10


def test_a_key_with_a_dot_stands_in_quotes() -> None:
    config = load_scenario(
        "quick", ['workload.model_map."gpt-3.5"=llama-8b-chat', 'gpus."A100-80GB".usable_hbm_gib=78']
    )
    assert config.workload.model_map == {"gpt-3.5": "llama-8b-chat"}
    assert config.gpus["A100-80GB"].usable_hbm_gib == 78
    assert config.gpus["A100-80GB"].peak_flops_per_s == 312e12


def test_max_model_len_never_exceeds_what_a_node_can_hold() -> None:
    config = load_scenario("quick", ["limits.margin_gb=3.0"])
    by_name = {deployment.name: deployment for deployment in config.models}
    assert config.max_model_len(by_name["llama-8b-chat"]) == 131072
    coder = by_name["qwen-32b-expert"]
    assert config.max_model_len(coder) <= config.kv_room_tokens(coder, config.host_groups[0]) < 32768


@pytest.mark.parametrize(("name", "shares"), [("small", 2), ("medium", 3), ("large", 5)])
def test_a_partitioned_engine_takes_as_many_partitions_as_it_needs(name: str, shares: int) -> None:
    config = load_scenario("toy", ["limits.memory_mode=partitioned"])
    deployment = config.models[config.model_names.index(name)]
    group = config.host_groups[0]
    architecture = config.architectures[deployment.architecture]
    pool_bytes = config.node_pool_bytes(group) * shares / 5 - architecture.weight_bytes - config.limits.margin_gb * 1e9
    assert config.kv_room_tokens(deployment, group) == int(pool_bytes // architecture.kv_bytes_per_token)


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_can_run_partitioned(name: str) -> None:
    config = load_scenario(name, ["limits.memory_mode=partitioned"])
    assert min(config.kv_room_tokens(item, config.host_groups[0]) for item in config.models) > 10_000


def test_training_settings_load_by_name() -> None:
    assert load_train("cluster").num_envs == 256
    assert load_train("cluster").batch_size == 2048
