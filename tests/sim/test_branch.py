"""An environment copied over another goes on as the one it was copied from."""

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import AGENT_TIERS, NO_TIER
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.branch import branch
from maestro_gym.sim.engine import OWN, answer_and_run, open_engine, run_until
from maestro_gym.state import State
from maestro_gym.state.fields import arrays_of


def contents(state: State, e: int) -> dict[str, bytes]:
    """Every array of one environment, by name."""
    return {name: getattr(part, name)[e].tobytes() for part in state for name in arrays_of(type(part))}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.load("toy", ["workload.load=1.5"])


@pytest.fixture(scope="module")
def policy(scenario: Scenario) -> Policy:
    return load_policy("searched", scenario)


@pytest.mark.parametrize("tier", ["global", "cluster", "node"])
def test_a_copy_that_answers_as_its_origin_ends_as_it_bit_for_bit(
    scenario: Scenario, policy: Policy, tier: str
) -> None:
    simulation = Simulation(scenario.world, 3, evaluation=True)
    simulation.load(0, scenario.episode("test", 0, 0), key=7)
    simulation.load(1, scenario.episode("test", 1, 0), key=8)
    engine = open_engine(simulation, policy)
    assert answer_and_run(engine, 0, OWN, AGENT_TIERS[tier], 20.0) != NO_TIER
    run_until(engine, 1, 0)
    branch(simulation, 0, (1, 2))
    assert contents(simulation.state, 1) == contents(simulation.state, 0)
    for e in range(3):
        assert answer_and_run(engine, e, OWN, 0, 0.0) == NO_TIER
    assert contents(simulation.state, 1) == contents(simulation.state, 0) == contents(simulation.state, 2)


def test_a_copy_that_answers_otherwise_leaves_its_origin_alone(scenario: Scenario, policy: Policy) -> None:
    simulation = Simulation(scenario.world, 2, evaluation=True)
    simulation.load(0, scenario.episode("test", 0, 0))
    engine = open_engine(simulation, policy)
    # The first call that has a choice of node.
    while True:
        assert answer_and_run(engine, 0, OWN, AGENT_TIERS["cluster"], 0.0) != NO_TIER
        room = np.flatnonzero(simulation.state.visible.nodes["queue_len"][0] < 8)
        if len(room) > 1:
            break
    branch(simulation, 0, (1,))
    before = contents(simulation.state, 0)
    stage = int(simulation.state.visible.clock["stage"][0])
    answer_and_run(engine, 1, int(room[0]), 0, 0.0)
    assert contents(simulation.state, 0) == before
    answer_and_run(engine, 0, int(room[1]), 0, 0.0)
    assert list(simulation.state.visible.stages["node"][:, stage]) == [room[1], room[0]]
