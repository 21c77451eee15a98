"""KV memory: reservations, growth, preemption, prefix reuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import BLOCK_TOKENS
from tests.sim.conftest import Call, make_episode, run_hand_made

LLAMA_KV_BYTES = 2 * 32 * 8 * 128 * 2


def test_a_drained_fleet_holds_no_reservation(toy: Scenario) -> None:
    state = run_hand_made(toy, make_episode([(0.1 * i, [Call(500, 40)]) for i in range(20)])).state
    for name in ("kv_reserved_bytes", "kv_virtual_bytes", "queued_work_s", "running_work_s"):
        np.testing.assert_array_equal(state.visible.nodes[0][name], 0.0)


def test_admission_reserves_prompt_and_prediction_with_a_margin(toy: Scenario) -> None:
    scenario = Scenario(toy.config)
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, make_episode([(0.0, [Call(1000, 200)])]))
    simulation.world.params[0]["drain_cap_s"] = 0.5
    run_until(open_engine(simulation, load_policy("maestro", scenario)), 0, 0)
    rho = toy.config.limits.rho_min
    tokens = math.ceil(math.ceil((1000 + 200) * (1 + rho)) / BLOCK_TOKENS) * BLOCK_TOKENS
    assert simulation.state.visible.nodes[0]["kv_reserved_bytes"].sum() == tokens * LLAMA_KV_BYTES
    assert simulation.state.visible.nodes[0]["kv_virtual_bytes"].sum() == (1000 + 512) * LLAMA_KV_BYTES


def test_an_underestimated_stage_grows_and_rho_follows(toy: Scenario) -> None:
    state = run_hand_made(toy, make_episode([(0.0, [Call(100, 2000, predicted=20)])]), "maestro").state
    node = state.visible.stages[0, 0]["node"]
    assert state.visible.stages[0, 0]["growths"] >= 1
    assert state.core.counters[0]["finished"] == 1
    assert state.visible.nodes[0, node]["rho"] > toy.config.limits.rho_min


def test_a_context_is_reused_by_the_next_call_of_its_workflow(toy: Scenario) -> None:
    held = 1000 + 100
    calls = [Call(1000, 100, ctx=(7, 0)), Call(held + 50, 10, parents=[0], ctx=(7, held))]
    state = run_hand_made(toy, make_episode([(0.0, calls)]), "session-affinity").state
    second = state.visible.stages[0, 1]
    # The last generated token's KV is not computed; whole blocks only.
    expected = (held - 1) // BLOCK_TOKENS * BLOCK_TOKENS if second["node"] == state.visible.stages[0, 0]["node"] else 0
    assert second["prefix_hit_tokens"] == expected
    assert state.core.counters[0]["cached_tokens"] == expected


def test_a_system_prompt_is_shared_between_workflows(toy: Scenario) -> None:
    calls = [[Call(600, 20, sys=(3, 512))] for _ in range(2)]
    state = run_hand_made(toy, make_episode([(0.0, calls[0]), (20.0, calls[1])]), "warm-jsq").state
    same = state.visible.stages[0, 0]["node"] == state.visible.stages[0, 1]["node"]
    assert state.visible.stages[0, 1]["prefix_hit_tokens"] == (512 if same else 0)


def test_prefix_caching_can_be_switched_off() -> None:
    scenario = Scenario.load("toy", ["limits.prefix_caching=false"])
    calls = [Call(1000, 100, ctx=(7, 0)), Call(1150, 10, parents=[0], ctx=(7, 1100))]
    state = run_hand_made(scenario, make_episode([(0.0, calls)])).state
    assert state.core.counters[0]["cached_tokens"] == 0


@pytest.mark.parametrize("policy", ["fcfs", "maestro", "static-max"])
def test_memory_pressure_preempts_and_still_finishes(policy: str) -> None:
    scenario = Scenario.load("toy", ["drain_s=4000"])
    # The 32B model leaves 8 GB of KV: some 30 such stages cannot be there at once.
    calls = [(0.05 * i, [Call(1500, 1500, model=2, predicted=50)]) for i in range(40)]
    counters = run_hand_made(scenario, make_episode(calls), policy).state.core.counters[0]
    assert counters["finished"] == counters["arrived"] == 40
