"""Whole episodes: the classes of information hold in the engine too, and every rule's answers are legal."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.baselines.driver import run_episode
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.sim.scenario import Scenario

SHORT = ["contention=high", "horizon_s=20", "drain_s=100"]
CUT_S = 8.0
TRACE = ("ready_s", "sent_s", "queued_s", "admitted_s", "node", "cluster")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.load("quick", SHORT)


@pytest.mark.parametrize("name", ["maestro", "fcfs", "jsq", "oracle-srtf", "no-colocation"])
def test_a_policy_never_answers_with_an_illegal_action(scenario: Scenario, name: str) -> None:
    result = run_episode(scenario, load_policy(name, scenario))
    assert result.counters["invalid_actions"] == 0
    assert result.counters["stages_finished"] > 0


def _decided_by_the_cut(name: str, *, change_future: bool) -> np.ndarray:
    """What was decided up to the cut, with the truth about stages not yet arrived changed or not."""
    scenario = Scenario.load("quick", SHORT)
    episode = scenario.episode("test", 0, 0)
    world = scenario.world
    world.params["drain_cap_s"] = CUT_S
    if change_future:
        hidden = episode.hidden.copy()
        late = episode.workflows["arrival_s"][episode.stages["workflow"]] > CUT_S
        hidden["output_tokens"][late] = 1
        hidden["tool_gap_s"][late] += 3.0
        hidden["remaining_s"][late] *= 7.0
        episode = episode._replace(hidden=hidden)
    simulation = Simulation(world, evaluation=True, warm=True, num_samples=0, log_residency=False)
    simulation.load(0, episode, key=0)
    run_until(open_engine(simulation, load_policy(name, scenario)), 0, 0)
    rows = simulation.state.view.stages[0, : len(episode.stages)]
    return np.stack([np.array(rows[field], float) for field in TRACE])


@pytest.mark.parametrize("name", ["maestro", "fcfs"])
def test_a_hidden_future_that_changes_changes_no_decision_before_it(name: str) -> None:
    np.testing.assert_array_equal(
        _decided_by_the_cut(name, change_future=False), _decided_by_the_cut(name, change_future=True)
    )
