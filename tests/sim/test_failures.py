"""Nodes and hosts that fail and come back: what is lost, when the rest is done, and that nobody is forgotten."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config import load_scenario
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.outages import outages_of
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import CPU, DISK, NODE_FAILED, NODE_READY, NODE_STATE_NAMES, NUM_NODE_STATES, OUTAGE, Episode
from tests.sim.conftest import Call, make_episode, run_hand_made
from tests.sim.invariants import check_state

HAND = (
    "limits.api_s=0.0",
    "fleet.local_latency_s=0.0",
    "fleet.link_bytes_per_s=1.0e+30",
    "limits.growth_s=0.0",
    "limits.wait_max_s=1000",
)
ALL = -1


def outages(*rows: tuple[float, float, int]) -> np.ndarray:
    """Outages of the toy fleet's one host, or of a node of it: (begin, end, node)."""
    ends = [
        (time_s, 0, node, fails, -1, -1)
        for begin_s, end_s, node in rows
        for time_s, fails in ((begin_s, 1), (end_s, 0))
    ]
    return np.array(sorted(ends), OUTAGE)


def one_call(*rows: tuple[float, float, int], prompt: int = 100, output: int = 200) -> Episode:
    return make_episode([(1.0, [Call(prompt, output)])])._replace(outages=outages(*rows))


def clean_times(scenario: Scenario) -> tuple[float, float]:
    """First token and end of the one call, from its arrival, where nothing fails."""
    simulation = run_hand_made(scenario, one_call())
    row = simulation.state.visible.stages[0, 0]
    return float(row["first_token_s"]) - 1.0, float(row["finished_s"]) - 1.0


def start_s(scenario: Scenario) -> float:
    """Seconds from an empty GPU to the first step of the smallest model, its weights in the page cache."""
    params, perf = scenario.world.params[0], scenario.world.perf[0, scenario.world.models[0]["arch"]]
    load_s = params["cpu_base_s"] + params["cpu_s_per_byte"] * perf["weight_bytes"]
    return float(load_s + params["cpu_s_per_layer"] * perf["layers"] + params["warmup_s"])


def test_a_stage_that_is_lost_in_the_middle_is_done_after_the_repair_a_start_and_its_whole_time() -> None:
    scenario = Scenario.load("toy", HAND)
    first_s, whole_s = clean_times(scenario)
    lost_s, back_s = 1.0 + first_s + 1e-6, 40.0  # its second token is under way
    simulation = run_hand_made(scenario, one_call((lost_s, back_s, 0), (lost_s, back_s, 1)))
    row, counters = simulation.state.visible.stages[0, 0], simulation.state.core.counters[0]
    assert row["finished_s"] == pytest.approx(back_s + start_s(scenario) + whole_s)
    assert row["first_token_s"] == pytest.approx(back_s + start_s(scenario) + first_s)
    assert (counters["restarts"], counters["wasted_tokens"], counters["node_failures"]) == (1, 100, 2)
    assert (row["restarts"], row["preemptions"]) == (1, 0)
    assert counters["finished"] == 1


def test_who_fails_alone_sends_its_stage_to_the_other_node_at_once() -> None:
    scenario = Scenario.load("toy", HAND)
    _, whole_s = clean_times(scenario)
    clean = run_hand_made(scenario, one_call())
    node = int(clean.state.visible.stages[0, 0]["node"])
    running = clean.state.visible.slot_of[0, 1 - node, 0] >= 0
    simulation = run_hand_made(scenario, one_call((2.0, 500.0, node)))
    row = simulation.state.visible.stages[0, 0]
    assert row["node"] == 1 - node
    assert row["finished_s"] == pytest.approx(2.0 + whole_s + (0.0 if running else start_s(scenario)))


def test_a_host_loses_its_page_cache_and_reads_its_drive() -> None:
    scenario = Scenario.load("toy", HAND)
    _, whole_s = clean_times(scenario)
    simulation = run_hand_made(scenario, one_call((2.0, 40.0, ALL)))
    world = scenario.world
    read_s = world.perf[0, world.models[0]["arch"]]["weight_bytes"] / world.hosts[0]["nvme_bytes_per_s"]
    row = simulation.state.visible.stages[0, 0]
    assert row["finished_s"] == pytest.approx(40.0 + read_s + start_s(scenario) + whole_s)
    tiers = simulation.state.visible.host_models[0, 0]["tier"]
    assert (tiers[0], set(tiers[1:].tolist())) == (CPU, {DISK})


def test_an_outage_within_that_of_the_host_ends_with_the_later_of_both() -> None:
    scenario = Scenario.load("toy", HAND)
    _, whole_s = clean_times(scenario)
    rows = ((2.0, 40.0, ALL), (3.0, 60.0, 0), (3.0, 60.0, 1))
    simulation = run_hand_made(scenario, one_call(*rows))
    assert simulation.state.visible.stages[0, 0]["finished_s"] >= 60.0 + start_s(scenario) + whole_s
    assert simulation.state.core.node_state_s[0, :, NODE_FAILED].tolist() == [58.0, 58.0]
    assert simulation.state.core.counters[0]["node_failures"] == 2


def test_a_stage_on_its_way_comes_back_when_its_node_is_gone() -> None:
    scenario = Scenario.load("toy", (*HAND[1:], "limits.api_s=2.0"))
    node = int(run_hand_made(scenario, one_call()).state.visible.stages[0, 0]["node"])
    simulation = run_hand_made(scenario, one_call((2.0, 100.0, node)))
    row, counters = simulation.state.visible.stages[0, 0], simulation.state.core.counters[0]
    assert row["node"] == 1 - node
    assert row["sent_s"] == pytest.approx(3.0)  # sent at 1 s, turned back 2 s later
    assert (counters["restarts"], counters["wasted_tokens"]) == (0, 0)


def test_availability_is_mtbf_over_mtbf_plus_mttr() -> None:
    """Of an alternating process that begins up: A + (1 - A) (1 - exp(-T/tau)) tau/T, tau = 1/(1/MTBF + 1/MTTR)."""
    mtbf_s, mttr_s, horizon_s = 200.0, 50.0, 20_000.0
    laws = [f"fleet.failures.node_mtbf_s={mtbf_s}", f"fleet.failures.node_mttr_s={mttr_s}"]
    scenario = Scenario.load("quick", [*laws, f"horizon_s={horizon_s}", "drain_s=0", "workload.rate_rps=0.01"])
    up = mtbf_s / (mtbf_s + mttr_s)
    tau_s = 1.0 / (1.0 / mtbf_s + 1.0 / mttr_s)
    expected = up + (1.0 - up) * tau_s / horizon_s * (1.0 - math.exp(-horizon_s / tau_s))
    shares = []
    for key in range(100, 180):
        rows = outages_of(scenario.config.fleet, scenario.world, np.zeros(0, OUTAGE), key)
        assert (np.diff(rows["time_s"]) >= 0.0).all()
        down_s = np.minimum(rows["time_s"], horizon_s) @ np.where(rows["fails"] == 1, -1.0, 1.0)
        shares.append(1.0 - down_s / (horizon_s * len(scenario.world.nodes)))
    # Standard error of 640 nodes: sqrt(2 / (MTBF MTTR (1/MTBF + 1/MTTR)^3 T) / 640) = 0.001.
    assert np.mean(shares) == pytest.approx(expected, abs=0.003)
    result = run_episode(scenario, load_policy("fcfs", scenario), "test", 0, drain=False)
    row = result_row(result)
    rows = result.episode.outages
    down_s = np.minimum(rows["time_s"], horizon_s) @ np.where(rows["fails"] == 1, -1.0, 1.0)
    assert row["availability"] == pytest.approx(1.0 - down_s / (horizon_s * len(scenario.world.nodes)))
    assert row["node_h"] == pytest.approx(8 * horizon_s / 3600)


FAILING = (
    "fleet.failures.node_mtbf_s=150",
    "fleet.failures.node_mttr_s=30",
    "fleet.failures.host_mtbf_s=400",
    "fleet.failures.host_mttr_s=40",
    "horizon_s=120",
    "drain_s=200",
)


def test_every_policy_meets_the_same_outages() -> None:
    scenario = Scenario.load("quick", FAILING)
    spent = []
    for policy in ("fcfs", "maestro", "power-of-two"):
        result = run_episode(scenario, load_policy(policy, scenario), "test", 3, drain=False)
        spent.append(result.node_state_s)
        assert result.node_state_s.shape == (8, NUM_NODE_STATES)
        np.testing.assert_allclose(result.node_state_s.sum(1), result.end_s)
    np.testing.assert_array_equal(spent[0], spent[1])
    np.testing.assert_array_equal(spent[0], spent[2])
    assert spent[0][:, NODE_FAILED].sum() > 0


@pytest.mark.parametrize("memory", ["elastic", "partitioned"])
@pytest.mark.parametrize("policy", ["fcfs", "maestro", "searched", "no-colocation", "edf-early", "qlm+maestro"])
def test_nothing_is_lost_and_no_rule_asks_for_what_is_down(policy: str, memory: str) -> None:
    scenario = Scenario.load("quick", [*FAILING, f"limits.memory_mode={memory}", "contention=high"])
    simulation = Simulation(scenario.world, evaluation=True)
    episode = scenario.episode("validation", 2, 0)
    simulation.load(0, episode)
    engine = open_engine(simulation, load_policy(policy, scenario))
    run_until(engine, 0, 0)
    check_state(simulation.state)
    counters = simulation.state.core.counters[0]
    assert counters["node_failures"] > 0
    assert counters["restarts"] > 0
    assert counters["invalid_actions"] == 0
    assert counters["finished"] > 0


def test_a_fleet_that_never_fails_is_ready_all_the_time() -> None:
    scenario = Scenario.load("toy", ["horizon_s=30"])
    result = run_episode(scenario, load_policy("fcfs", scenario), "test", 0)
    assert len(result.episode.outages) == 0
    np.testing.assert_array_equal(result.node_state_s[:, NODE_READY], result.end_s)
    assert result_row(result)["availability"] == 1.0
    assert NODE_STATE_NAMES[NODE_READY] == "ready"


def test_planned_outages_are_named_by_host_and_node() -> None:
    rows = "[{host: solo/0, begin_s: 5, length_s: 10}, {node: solo/0.1, begin_s: 1, length_s: 2}]"
    episode = Scenario.load("toy", [f"fleet.failures.outages={rows}"]).episode("test", 0, 0)
    assert episode.outages.tolist() == [
        (1.0, 0, 1, 1, -1, -1),
        (3.0, 0, 1, 0, -1, -1),
        (5.0, 0, -1, 1, -1, -1),
        (15.0, 0, -1, 0, -1, -1),
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("[{begin_s: 5, length_s: 10}]", "names one of: a host, a node, a link"),
        ("[{host: a, node: b, begin_s: 5, length_s: 10}]", "names one of: a host, a node, a link"),
    ],
)
def test_an_outage_of_nobody_is_refused(rows: str, words: str) -> None:
    with pytest.raises(MaestroError, match=words):
        load_scenario("toy", [f"fleet.failures.outages={rows}"])


def test_an_outage_of_a_node_that_there_is_not_is_refused() -> None:
    with pytest.raises(MaestroError, match=r"outages.0: the fleet has no node `solo/0.7`"):
        Scenario.load("toy", ["fleet.failures.outages=[{node: solo/0.7, begin_s: 5, length_s: 10}]"])
