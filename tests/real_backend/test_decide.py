"""Who decides on real servers: the numbers that a policy reads are its own."""

from __future__ import annotations

import numpy as np

from maestro_gym.baselines import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control.decide import open_policies
from maestro_gym.sim.batch import Simulation


def test_the_acting_policy_reads_its_numbers_whatever_the_others_read() -> None:
    scenario = Scenario.load("toy")
    searched, shaped, maestro = (load_policy(name, scenario) for name in ("searched", "shaped", "maestro"))
    assert searched.numbers != shaped.numbers
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("validation", 0, 0), key=0)
    open_policies(simulation, searched, maestro, shaped, None)
    read = simulation.state.visible.numbers[0, : len(searched.numbers)]
    np.testing.assert_array_equal(read, searched.numbers)
