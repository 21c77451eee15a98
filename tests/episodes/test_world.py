"""The world is what the scenario says."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from maestro_gym.config import load_scenario
from maestro_gym.config.limits import MAX_QUEUE
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.world import NOMINAL_CONTEXT_TOKENS, build_world, world_names
from maestro_gym.state import PARAMS


def test_nodes_belong_to_their_hosts_and_clusters() -> None:
    config = load_scenario("quick")
    world, names = build_world(config), world_names(config)
    assert list(world.nodes["cluster"]) == [0] * 4 + [1] * 4
    assert list(world.nodes["host"]) == [0] * 4 + [1] * 4
    assert names.nodes[:2] == ("east/0.0", "east/0.1")
    assert names.nodes[4] == "west/0.0"
    assert names.hosts == ("east/0", "west/0")
    assert len(world.hosts) == 2
    assert world.nodes["hbm_pool_bytes"][0] == pytest.approx(79.15 * 2**30 * 0.9)


def test_a_mixed_fleet_has_a_row_of_tables_for_each_kind_of_node() -> None:
    west = "fleet.clusters.west.hosts.0"
    overrides = [f"{west}.tp=2", f"{west}.nodes=2", "models.0.architecture=Llama-3-70B"]
    config = load_scenario("quick", overrides)
    world = build_world(config)
    assert world_names(config).hardware == ("A100-80GB x1", "A100-80GB x2")
    assert list(world.nodes["hardware"]) == [0] * 4 + [1] * 2
    assert world.perf.shape == world.step_s.shape[:2] == world.sample_s.shape[:2]
    assert np.allclose(world.perf["weight_bytes"][0], 2 * world.perf["weight_bytes"][1])
    assert list(world.nodes["gpus"]) == [1] * 4 + [2] * 2


def test_deployments_that_share_an_architecture_share_a_row() -> None:
    config = load_scenario("quick")
    world = build_world(config)
    rows = dict(zip(config.model_names, world.models["arch"], strict=True))
    assert rows["llama-8b-chat"] == rows["llama-8b-router"] != rows["qwen3-8b-tools"]


def test_experts_take_the_time_of_the_kernels_that_the_engine_has() -> None:
    world = build_world(load_scenario("quick"))
    other = build_world(load_scenario("quick", ["limits.moe_kernel=grouped"]))
    config = load_scenario("quick")
    sparse = np.array([config.architectures[model.architecture].experts > 0 for model in config.models])
    rows = world.models["arch"]
    assert sparse.any()
    assert not sparse.all()
    assert np.array_equal(world.step_s[:, rows[~sparse]], other.step_s[:, rows[~sparse]])
    assert np.all(world.step_s[:, rows[sparse], 1:] != other.step_s[:, rows[sparse], 1:])
    assert np.array_equal(world.sample_s, other.sample_s)


def test_parameters_carry_the_limits_in_base_units() -> None:
    overrides = ["limits.gpu_sharing=mps", "limits.node_queue_limit=inf", "limits.cpu_base_s=1", "horizon_s=100"]
    config = load_scenario("quick", overrides)
    params = build_world(config).params[0]
    assert params.mps == 1
    assert params.node_queue_limit == MAX_QUEUE
    assert params.margin_bytes == 1.3e9
    assert params.cpu_s_per_byte == pytest.approx(0.70e-9)
    assert (params.cpu_base_s, params.wake_base_s) == (1.0, config.gpus["A100-80GB"].residency.wake_base_s)
    assert (params.horizon_s, params.drain_cap_s) == (100.0, 700.0)


def test_every_parameter_is_set() -> None:
    params = build_world(load_scenario("quick")).params[0]
    zero = {name for name in PARAMS.names or () if params[name] == 0}
    off = {"admission", "scale_period_s", "node_start_s", "regroup_period_s", "regroup_s", "context_hold_max_s"}
    assert zero == off | {"mps", "partitioned", "metrics_delay_s", "own_sends", "schedule_ahead", "dispatch_s"}


def test_links_default_to_one_latency_or_follow_the_matrix() -> None:
    world = build_world(load_scenario("quick"))
    assert np.array_equal(world.latency_s, [[0.0005, 0.03], [0.03, 0.0005]])
    world = build_world(load_scenario("quick", ["fleet.latency_s=[[0, 0.1], [0.2, 0]]"]))
    assert np.array_equal(world.latency_s, [[0, 0.1], [0.2, 0]])


def test_nominal_speed_is_that_of_a_short_and_a_long_prompt_and_of_the_nominal_batch() -> None:
    world = build_world(load_scenario("quick"))
    service, perf, decode = world.service[0], world.perf[0, 0], world.decode[0, 0, 16]
    prefill_s = service.prefill_base_s + service.prefill_s_per_token * 2048
    alone_s = world.step_s[0, 0, 2048] + world.sample_s[0, 0, 1]
    alone_s += perf.att_prefill_const_s + perf.att_prefill_s_per_pair * 2048**2 / 2
    assert prefill_s == pytest.approx(alone_s)
    batch_s = world.step_s[0, 0, 16] + world.sample_s[0, 0, 16] + decode.const_s
    batch_s += 16 * decode.s_per_token * NOMINAL_CONTEXT_TOKENS
    assert service.decode_s_per_token == pytest.approx(batch_s)


def test_popularity_can_be_what_the_workload_really_asks_for() -> None:
    config = load_scenario("quick")
    shares = np.arange(1.0, 1.0 + len(config.models))
    assert np.allclose(build_world(config, shares).models["popularity"], shares / shares.sum())
    assert build_world(config).models["popularity"].sum() == pytest.approx(1.0)


def test_a_world_survives_pickling() -> None:
    world = build_world(load_scenario("quick"))
    copy = pickle.loads(pickle.dumps(world))
    assert all(np.array_equal(one, other) for one, other in zip(world, copy, strict=True))
    assert copy.params[0].horizon_s == world.params[0].horizon_s


def test_tenants_have_the_weights_and_quotas_of_the_scenario_and_the_others_weigh_one() -> None:
    given = "workload.tenants={tenant-1: {weight: 2, quota_tokens_per_s: 50}}"
    world = build_world(load_scenario("toy", [given]), tenant_names=("tenant-0", "tenant-1", "tenant-2"))
    assert world.tenants["weight"].tolist() == [1.0, 2.0, 1.0]
    assert world.tenants["share"].tolist() == [0.25, 0.5, 0.25]
    assert world.tenants["quota_tokens_per_s"].tolist() == [np.inf, 50.0, np.inf]
    with pytest.raises(MaestroError, match="no tenant `tenant-1`"):
        build_world(load_scenario("toy", [given]), tenant_names=("tenant-0", "paying"))
