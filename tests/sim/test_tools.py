"""Tools with finite places, on instances that a person can follow: who waits, who is next, what is counted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import STAGE_FINISHED, STAGE_GAP, STAGE_TOOL, Episode
from tests.sim.conftest import Call, make_episode, run_hand_made
from tests.sim.invariants import check_state


@pytest.fixture(scope="module")
def one_place() -> Scenario:
    """`toy` without a network, all of whose roles share a tool with one place."""
    return Scenario.load(
        "toy",
        [
            "workload.tools={sandbox: {places: 1}}",
            "limits.api_s=0.0",
            "fleet.local_latency_s=0.0",
            "fleet.link_latency_s=0.0",
            "fleet.link_bytes_per_s=1.0e+30",
            "limits.growth_s=0.0",
        ],
    )


def calling(*flows: tuple[float, float, float]) -> Episode:
    """Workflows that call a tool between two stages: arrival, time of the tool, deadline after the arrival [s]."""
    episode = make_episode(
        [(at_s, [Call(100, 10, gap_s=gap_s), Call(100, 10, parents=(0,))]) for at_s, gap_s, _ in flows]
    )
    episode.hidden["tool_intent"] = episode.hidden["num_children"] > 0
    episode.workflows["deadline_s"] = [at_s + limit_s for at_s, _, limit_s in flows]
    episode.predictions["future_s_q50"][::2] = [gap_s for _, gap_s, _ in flows]
    return episode


def starts(simulation: Simulation, count: int) -> list[float]:
    """When the tool of each workflow's first stage began [s]."""
    return simulation.state.visible.stages[0, : 2 * count : 2]["tool_started_s"].tolist()


def test_a_call_waits_until_the_one_before_it_has_left_the_tool(one_place: Scenario) -> None:
    simulation = run_hand_made(one_place, calling((0.0, 5.0, 60.0), (1.0, 3.0, 60.0), (2.0, 0.0, 60.0)))
    rows = simulation.state.visible.stages[0]
    asked_s = rows["finished_s"][:6:2]
    first_s, second_s, third_s = starts(simulation, 3)
    assert first_s == asked_s[0]
    assert second_s == pytest.approx(first_s + 5.0)
    assert third_s == pytest.approx(second_s + 3.0)
    # The tool of the third takes no time, and yet it had to wait for the place.
    np.testing.assert_allclose(rows["ready_s"][1:6:2], [first_s + 5.0, second_s + 3.0, third_s])
    assert np.all(rows["phase"][:6] == STAGE_FINISHED)
    assert simulation.state.visible.tools[0, 0]["busy"] == 0
    check_state(simulation.state)


def test_two_places_serve_two_calls_at_once(one_place: Scenario) -> None:
    scenario = Scenario.load("toy", ["workload.tools={sandbox: {places: 2}}"])
    simulation = run_hand_made(scenario, calling((0.0, 5.0, 60.0), (1.0, 9.0, 60.0), (2.0, 1.0, 60.0)))
    asked_s = simulation.state.visible.stages[0]["finished_s"][:6:2]
    first_s, second_s, third_s = starts(simulation, 3)
    assert (first_s, second_s) == (asked_s[0], asked_s[1])
    assert third_s == pytest.approx(first_s + 5.0)


def test_a_gap_that_is_no_tool_call_takes_no_place(one_place: Scenario) -> None:
    episode = calling((0.0, 5.0, 60.0), (1.0, 3.0, 60.0))
    episode.hidden["tool_intent"] = 0
    simulation = run_hand_made(one_place, episode)
    rows = simulation.state.visible.stages[0]
    assert starts(simulation, 2) == [math.inf] * 2
    np.testing.assert_allclose(rows["ready_s"][1:4:2], rows["finished_s"][:4:2] + np.array([5.0, 3.0]))


@pytest.mark.parametrize(
    ("policy", "order"),
    [
        ("fcfs", [0, 1, 2, 3]),
        ("tool-edf", [0, 2, 3, 1]),
        ("tool-srtf", [0, 3, 1, 2]),
        ("tool-order", [0, 1, 2, 3]),
        ("tool-edf+maestro", [0, 2, 3, 1]),
    ],
)
def test_the_global_rule_says_whose_call_is_next(one_place: Scenario, policy: str, order: list[int]) -> None:
    """While the first call runs three others ask; deadlines, times of the tool and arrivals say different things."""
    flows = (0.0, 20.0, 900.0), (1.0, 6.0, 300.0), (2.0, 9.0, 100.0), (3.0, 2.0, 200.0)
    simulation = run_hand_made(one_place, calling(*flows), policy)
    assert np.argsort(starts(simulation, 4)).tolist() == order
    assert simulation.state.core.counters[0]["invalid_actions"] == 0


def test_an_order_is_not_asked_while_there_are_places_for_all(one_place: Scenario) -> None:
    """Decisions of the tools count as decisions: without a choice there is none."""
    flows = (0.0, 1.0, 60.0), (10.0, 1.0, 60.0)
    decisions = {
        policy: run_hand_made(one_place, calling(*flows), policy).state.visible.clock[0]["decisions"]
        for policy in ("fcfs", "tool-edf")
    }
    assert decisions["fcfs"] == decisions["tool-edf"]


def test_whoever_waits_at_the_end_is_counted_until_the_cap(one_place: Scenario) -> None:
    scenario = Scenario.load(
        "toy", ["workload.tools={sandbox: {places: 1}}", "horizon_s=10", "drain_s=20", "limits.sample_period_s=0"]
    )
    episode = calling((0.0, 1e6, 60.0), (1.0, 1.0, 60.0))
    result = run_episode(scenario, load_policy("fcfs", scenario), episode=episode)
    assert result.stages["phase"][[0, 2]].tolist() == [STAGE_GAP, STAGE_TOOL]
    row = result_row(result)
    cap_s = scenario.world.params[0]["drain_cap_s"]
    waited_s = cap_s - result.stages["finished_s"][2]
    assert row["tool_wait_mean_s"] == pytest.approx(waited_s / 2)
    assert row["tool_wait_worst_type_mean_s"] == pytest.approx(waited_s / 2)
    busy = (10.0 - result.stages["finished_s"][0]) / 10.0
    assert row["tool_utilisation"] == row["tool_utilisation_worst_type"] == pytest.approx(busy)


def test_roles_go_by_the_first_type_that_names_them() -> None:
    given = "workload.tools={search: {places: 2, roles: ['*.worker']}, rest: {places: 3}}"
    scenario = Scenario.load("toy", [given])
    world, names = scenario.world, scenario.workload.role_names
    assert world.tools["places"].tolist() == [2, 3]
    assert [int(tool) for tool in world.tool_of] == [0 if name.endswith(".worker") else 1 for name in names]
    some = Scenario.load("toy", ["workload.tools={search: {places: 2, roles: ['diamond.worker']}}"]).world
    assert sorted(some.tool_of.tolist()) == [-1] * (len(names) - 1) + [0]


def test_a_type_that_no_role_calls_is_refused() -> None:
    with pytest.raises(MaestroError, match=r"workload\.tools\.search\.roles"):
        Scenario.load("toy", ["workload.tools={all: {places: 2}, search: {places: 2, roles: ['*.worker']}}"])


def test_without_the_switch_nothing_is_counted(toy: Scenario) -> None:
    episode = calling((0.0, 5.0, 60.0), (1.0, 3.0, 60.0))
    simulation = run_hand_made(toy, episode)
    assert simulation.state.visible.tools.shape == (1, 0)
    assert starts(simulation, 2) == [math.inf] * 2
    row = result_row(run_episode(toy, load_policy("fcfs", toy), episode=episode))
    assert math.isnan(float(row["tool_wait_mean_s"]))
    assert math.isnan(float(row["tool_utilisation"]))


def test_copies_of_a_batch_go_on_alike(one_place: Scenario) -> None:
    """Who waits at a tool is part of the state: a fork in the middle ends as the original does."""
    simulation = Simulation(one_place.world, evaluation=True)
    simulation.load(0, calling((0.0, 20.0, 900.0), (1.0, 6.0, 300.0), (2.0, 9.0, 100.0), (3.0, 2.0, 200.0)))
    policy = load_policy("tool-edf", one_place)
    run_until(open_engine(simulation, policy), 0, 0b001)
    fork = simulation.fork()
    for one in (simulation, fork):
        run_until(open_engine(one, policy), 0, 0)
    assert starts(simulation, 4) == starts(fork, 4)
