"""The frozen percentiles of Maestro's fitness are data: another scenario reads others and compiles nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numba.core.event import install_recorder

from maestro_gym.baselines import load_policy
from maestro_gym.baselines.maestro.percentiles import frozen_scales, scale_for
from maestro_gym.core.compile import INTERPRETED
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control.decide import open_policies
from maestro_gym.scheduling.fitness_scale import FitnessScale, fitness_scale
from maestro_gym.scheduling.policy import Policy
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_beside, open_engine, run_until
from maestro_gym.state import NUMBERS, PERCENTILES
from tests.baselines.hand import Hand, ask, cluster_rule

BUSY = FitnessScale(-100.0, 0.0, 0.0, 1.0, 0.0, 1.0)
"""Long queues are common here and weights always near: the opposite of the default."""


def _decisions(policy: Policy, scenario: Scenario) -> int:
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("validation", 0, 0), key=0)
    run_until(open_engine(simulation, policy), 0, 0)
    return int(simulation.state.visible.clock[0]["decisions"])


def _simulation() -> Simulation:
    scenario = Scenario.load("toy")
    simulation = Simulation(scenario.world, num_envs=2)
    simulation.load(0, scenario.episode("validation", 0, 0))
    return simulation


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")
@pytest.mark.parametrize("name", ["maestro", "maestro-raw", "shaped", "searched", "llumnix+maestro"])
def test_a_second_scenario_compiles_no_rule(name: str) -> None:
    short = ("horizon_s=20",)
    first, second = Scenario.load("quick", short), Scenario.load("toy", short)
    assert scale_for("quick") != scale_for("toy")
    assert _decisions(load_policy(name, first), first) > 0
    with install_recorder("numba:compile") as recorder:
        assert _decisions(load_policy(name, second), second) > 0
    assert [event.data["dispatcher"].py_func.__qualname__ for _, event in recorder.buffer] == []


@pytest.mark.parametrize("name", ["maestro", "shaped"])
def test_a_rule_decides_by_the_percentiles_that_it_is_given(name: str) -> None:
    hand = Hand()
    hand.route(hand.stage())
    hand.engine(0, 0)
    hand.load(0, work_s=16.0 * 60.0)
    if name == "shaped":
        hand.view.numbers[0, :NUMBERS][: len(load_policy(name).numbers)] = load_policy(name).numbers
    assert ask(cluster_rule(name), hand) == 1
    hand.view.numbers[0, NUMBERS:] = BUSY
    assert ask(cluster_rule(name), hand) == 0


def test_every_percentile_has_its_place() -> None:
    assert len(FitnessScale._fields) == PERCENTILES
    hand = Hand()
    hand.view.numbers[0, NUMBERS:] = range(PERCENTILES)
    assert fitness_scale(hand.view, 0) == tuple(range(PERCENTILES))


def test_a_loaded_policy_brings_the_percentiles_of_its_scenario() -> None:
    scenario = Scenario.load("quick")
    for name in ("maestro", "warm-jsq+maestro", "searched"):
        assert load_policy(name, scenario).scale == frozen_scales()["quick"]
        assert load_policy(name).scale == FitnessScale()


def test_all_environments_read_the_policys_percentiles_now_and_in_their_next_episode() -> None:
    simulation, scenario = _simulation(), Scenario.load("toy")
    open_engine(simulation, replace(load_policy("maestro", scenario), scale=BUSY))
    np.testing.assert_array_equal(simulation.state.visible.numbers[:, NUMBERS:], [BUSY, BUSY])
    simulation.load(1, scenario.episode("validation", 1, 0))
    np.testing.assert_array_equal(simulation.state.visible.numbers[:, NUMBERS:], [BUSY, BUSY])


def test_a_policy_that_is_only_asked_leaves_the_percentiles_of_the_acting_one() -> None:
    simulation, scenario = _simulation(), Scenario.load("toy")
    maestro = load_policy("maestro", scenario)
    open_policies(simulation, replace(maestro, scale=BUSY), maestro, maestro, None)
    np.testing.assert_array_equal(simulation.state.visible.numbers[0, NUMBERS:], BUSY)
    open_beside(simulation, maestro)
    np.testing.assert_array_equal(simulation.state.visible.numbers[0, NUMBERS:], BUSY)
