"""Residency: what loads, wakes and sleeps take, and who shares the host."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.placement import host_tiers, warm_placement
from maestro_gym.state import CPU, DISK, REMOTE, RUNNING, SLEEPING
from tests.sim.conftest import Call, make_episode, run_hand_made


def _log(simulation: Simulation) -> np.ndarray:
    return np.asarray(simulation.state.core.residency_log[0, : simulation.state.core.residency_len[0]])


def test_a_cold_start_takes_what_the_start_up_profile_says(toy: Scenario) -> None:
    simulation = run_hand_made(toy, make_episode([(0.0, [Call(64, 2)])]), warm=False, log_residency=True)
    log = _log(simulation)
    begin, end = log[log["target"] == CPU][0], log[log["target"] == RUNNING][0]
    weight_gb = float(toy.world.perf["weight_bytes"][0, toy.world.models["arch"][0]]) / 1e9
    assert end["time_s"] - begin["time_s"] == pytest.approx(22.3 + 0.70 * weight_gb + 0.44 * 32, abs=1e-6)
    counters = simulation.state.core.counters[0]
    assert (counters["cold_starts"], counters["wakes"]) == (1, 0)


def test_a_sleeper_wakes_in_seconds() -> None:
    # One node: the 32B model drives the 8B one out, which is then asked for again.
    scenario = Scenario.load("toy", ["fleet.clusters.solo.hosts.0.nodes=1", "drain_s=2000", "limits.api_s=0.0"])
    calls = [(0.0, [Call(64, 2)]), (100.0, [Call(64, 2, model=2)]), (500.0, [Call(64, 2)])]
    simulation = run_hand_made(scenario, make_episode(calls), log_residency=True)
    log = _log(simulation)
    wakes = log[(log["model"] == 0) & (log["source"] == SLEEPING) & (log["target"] == RUNNING)]
    assert len(wakes) == 1
    begins = log[(log["model"] == 0) & (log["source"] == SLEEPING) & (log["target"] == SLEEPING)]
    weight_gb = float(scenario.world.perf["weight_bytes"][0, scenario.world.models["arch"][0]]) / 1e9
    took_s = wakes[0]["time_s"] - begins[0]["time_s"]
    # Waking comes after the 32B model has been put to sleep, twice as slow the first time.
    large_gb = float(scenario.world.perf["weight_bytes"][0, scenario.world.models["arch"][2]]) / 1e9
    base_s = float(scenario.world.params[0].wake_base_s)
    gb_per_s = float(scenario.world.hosts[0].pcie_gpu_bytes_per_s) / 1e9
    sleep_base_s = float(scenario.world.params[0].sleep_base_s)
    expected_s = base_s + weight_gb / gb_per_s + 2 * (sleep_base_s + large_gb / gb_per_s)
    assert took_s == pytest.approx(expected_s, rel=0.02)


def test_loads_of_one_host_share_its_drive() -> None:
    # No DRAM for weights: both nodes read from NVMe at once.
    overrides = ["hosts.gpu2-512.dram_gb=1", "drain_s=2000", "fleet.local_latency_s=0.0"]
    scenario = Scenario.load("toy", overrides)
    simulation = run_hand_made(
        scenario,
        make_episode([(0.0, [Call(64, 2)]), (0.0, [Call(64, 2)])]),
        "round-robin",
        warm=False,
        log_residency=True,
    )
    log = _log(simulation)
    begins, ends = log[log["source"] == log["target"]], log[(log["target"] == RUNNING)]
    assert len(begins) == len(ends) == 2
    weight = float(scenario.world.perf["weight_bytes"][0, scenario.world.models["arch"][0]])
    alone_s = 22.3 + 0.70 * weight / 1e9 + 0.44 * 32 + weight / 3.5e9
    assert ends["time_s"].max() - begins["time_s"].min() == pytest.approx(alone_s + weight / 3.5e9, abs=0.2)


def test_warm_placement_gives_every_popular_model_a_place(toy: Scenario) -> None:
    placed = warm_placement(toy.world)
    assert placed.any(axis=0)[np.argmax(toy.world.models["popularity"])]
    weights = toy.world.perf["weight_bytes"][0][toy.world.models["arch"]] + toy.world.params[0]["margin_bytes"]
    assert np.all(placed @ weights <= toy.world.nodes["hbm_pool_bytes"])


def test_host_tiers_fill_dram_then_disk_then_remote() -> None:
    scenario = Scenario.load("toy", ["hosts.gpu2-512.dram_gb=20", "hosts.gpu2-512.nvme_gb=50"])
    assert host_tiers(scenario.world)[0].tolist() == [CPU, DISK, REMOTE]
