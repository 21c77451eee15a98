"""Whole episodes: the classes of information hold in the engine too, and every rule's answers are legal."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import STAGE_RUNNING

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


def _stages_at_the_cut(name: str, changed: np.ndarray | None) -> np.ndarray:
    """The view's stages at the cut; ``changed`` marks those whose hidden truth is made another."""
    scenario = Scenario.load("quick", SHORT)
    episode = scenario.episode("test", 0, 0)
    scenario.world.params["drain_cap_s"] = CUT_S
    if changed is not None:
        hidden = episode.hidden.copy()
        hidden["output_tokens"][changed] = 1
        hidden["tool_gap_s"][changed] += 3.0
        hidden["remaining_s"] *= np.linspace(9.0, 0.1, len(hidden))
        episode = episode._replace(hidden=hidden)
    simulation = Simulation(scenario.world, evaluation=True, warm=True, num_samples=0, log_residency=False)
    simulation.load(0, episode, key=0)
    run_until(open_engine(simulation, load_policy(name, scenario)), 0, 0)
    return np.array(simulation.state.visible.stages[0, : len(episode.stages)])


@pytest.mark.parametrize("name", ["maestro", "fcfs"])
def test_a_hidden_future_that_changes_changes_no_decision_before_it(name: str) -> None:
    before = _stages_at_the_cut(name, None)
    not_yet_run = before["phase"] < STAGE_RUNNING
    assert np.count_nonzero(~not_yet_run) > 10
    after = _stages_at_the_cut(name, not_yet_run)
    for field in TRACE:
        np.testing.assert_array_equal(before[field], after[field], err_msg=field)
