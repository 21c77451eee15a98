"""Nodes that are started and stopped: what a start takes, how a node drains, and that the numbers are kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config import load_scenario
from maestro_gym.core.boxed import box
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.actions import WAIT, send_code, start_code, stop_code
from maestro_gym.scheduling.legal import can_start, can_stop
from maestro_gym.scheduling.tiers import NO_TIER, TIER_GLOBAL
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import act, open_engine, run_until
from maestro_gym.state import (
    CPU,
    DISK,
    NODE_DRAINING,
    NODE_OFF,
    NODE_READY,
    NODE_STARTING,
    OUTAGE,
    Episode,
)
from maestro_gym.state.types import VIEW
from tests.sim.conftest import Call, make_episode, run_hand_made
from tests.sim.invariants import check_state
from tests.sim.test_failures import HAND, start_s

PERIOD_S, START_S = 10.0, 25.0
SCALES = (*HAND, f"limits.autoscaling.period_s={PERIOD_S}", f"limits.autoscaling.start_s={START_S}")
Script = dict[float, Callable[[object], int]]


def play(scenario: Scenario, episode: Episode, script: Script, seen: list[list[int]] | None = None) -> Simulation:
    """Run an episode in which nodes are scaled by a script, by time, and the first stage goes wherever it can."""
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, episode)
    engine = open_engine(simulation, load_policy("fcfs"))
    view, left = box(simulation.state.visible, VIEW), dict(script)
    while run_until(engine, 0, 1 << TIER_GLOBAL) != NO_TIER:
        check_state(simulation.state)
        clock = simulation.state.visible.clock[0]
        if clock["scaling"] and float(clock["now_s"]) in left:
            action = left.pop(float(clock["now_s"]))(view)
        elif clock["global_len"] and simulation.state.visible.nodes[0]["node_state"].tolist().count(NODE_READY):
            action = send_code(view, int(simulation.state.visible.global_queue[0, 0]), 0)
        else:
            action = WAIT
        assert act(engine, 0, TIER_GLOBAL, action)
        if seen is not None:
            seen.append(simulation.state.visible.nodes[0]["node_state"].tolist())
    check_state(simulation.state)
    assert not left
    return simulation


def stop(node: int) -> Callable[[object], int]:
    return lambda view: int(stop_code(view, node))


def start(node: int) -> Callable[[object], int]:
    return lambda view: int(start_code(view, node))


def long_call(at_s: float, output: int = 4000) -> tuple[float, list[Call]]:
    return at_s, [Call(100, output)]


def test_a_start_takes_its_delay_then_the_load_then_the_warm_up() -> None:
    scenario = Scenario.load("toy", SCALES)
    clean = run_hand_made(Scenario.load("toy", HAND), make_episode([(1.0, [Call(100, 200)])]))
    whole_s = float(clean.state.visible.stages[0, 0]["finished_s"]) - 1.0
    # Node 1 is off from 10 s on, is started at 20 s, and node 0 fails as it is ready.
    lost = np.array([(45.0 + 1e-6, 0, 0, 1, -1, -1)], OUTAGE)
    episode = make_episode([(46.0, [Call(100, 200)])])._replace(outages=lost)
    simulation = play(scenario, episode, {10.0: stop(1), 20.0: start(1)})
    row = simulation.state.visible.stages[0, 0]
    assert row["node"] == 1
    assert row["finished_s"] == pytest.approx(46.0 + start_s(scenario) + whole_s)
    spent = simulation.state.core.node_state_s[0, 1]
    assert (spent[NODE_OFF], spent[NODE_STARTING], spent[NODE_READY]) == (10.0, START_S, 10.0)
    assert simulation.state.core.counters[0]["node_starts"] == 1


def test_a_stage_that_waits_for_a_start_is_sent_when_the_node_is_ready() -> None:
    scenario = Scenario.load("toy", SCALES)
    lost = np.array([(15.0, 0, 0, 1, -1, -1)], OUTAGE)
    episode = make_episode([(16.0, [Call(100, 200)])])._replace(outages=lost)
    simulation = play(scenario, episode, {10.0: stop(1), 20.0: start(1)})
    assert simulation.state.visible.stages[0, 0]["sent_s"] == 20.0 + START_S


def test_a_draining_node_is_sent_nothing_and_serves_what_it_has() -> None:
    scenario = Scenario.load("toy", SCALES)
    episode = make_episode([long_call(1.0), long_call(12.0, 100), long_call(13.0, 100)])
    clean = run_hand_made(Scenario.load("toy", HAND), episode)
    node = int(clean.state.visible.stages[0, 0]["node"])
    simulation = play(scenario, episode, {10.0: stop(node)})
    rows, spent = simulation.state.visible.stages[0], simulation.state.core.node_state_s[0, node]
    assert rows["node"][:3].tolist() == [node, 1 - node, 1 - node]
    assert simulation.state.visible.nodes[0, node]["node_state"] == NODE_OFF
    assert spent[NODE_READY] == 10.0
    assert 10.0 + spent[NODE_DRAINING] == pytest.approx(float(rows["finished_s"][0]))
    assert simulation.state.core.counters[0]["restarts"] == 0


def test_a_draining_node_may_be_called_back_with_all_that_it_has() -> None:
    scenario = Scenario.load("toy", SCALES)
    episode = make_episode([long_call(1.0), long_call(22.0, 100)])
    node = int(run_hand_made(Scenario.load("toy", HAND), episode).state.visible.stages[0, 0]["node"])
    seen: list[list[int]] = []
    simulation = play(scenario, episode, {10.0: stop(node), 20.0: start(node)}, seen)
    assert NODE_DRAINING in [states[node] for states in seen]
    assert NODE_STARTING not in [states[node] for states in seen]
    assert simulation.state.core.node_state_s[0, node, NODE_DRAINING] == 10.0
    assert simulation.state.core.counters[0]["cold_starts"] == 0


def test_least_and_greatest_number_are_kept_and_a_node_changes_once_at_a_moment() -> None:
    scenario = Scenario.load("toy", (*SCALES, "limits.autoscaling.min_nodes=1"))
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, make_episode([(30.0, [Call(100, 10)])]))
    engine = open_engine(simulation, load_policy("fcfs"))
    view = box(simulation.state.visible, VIEW)
    assert run_until(engine, 0, 1 << TIER_GLOBAL) == TIER_GLOBAL
    assert simulation.state.visible.clock[0]["now_s"] == PERIOD_S
    assert [can_start(view, 0, n) for n in (0, 1)] == [False, False]  # both are on
    assert act(engine, 0, TIER_GLOBAL, stop_code(view, 1))
    assert simulation.state.visible.nodes[0, 1]["node_state"] == NODE_OFF
    assert [can_stop(view, 0, n) for n in (0, 1)] == [False, False]  # one must stay on
    assert [can_start(view, 0, n) for n in (0, 1)] == [False, False]  # it has just changed
    # Nothing is left to choose, so that the next question comes a period later.
    assert run_until(engine, 0, 1 << TIER_GLOBAL) == TIER_GLOBAL
    assert simulation.state.visible.clock[0]["now_s"] == 2 * PERIOD_S
    assert can_start(view, 0, 1)
    assert not act(engine, 0, TIER_GLOBAL, stop_code(view, 0))
    assert simulation.state.core.counters[0]["invalid_actions"] == 1


def test_the_last_node_of_a_host_takes_the_page_cache_with_it() -> None:
    hosts = "fleet.clusters=[{name: solo, hosts: [{count: 2, host: gpu2-512, nodes: 1, gpu: A100-80GB}]}]"
    scenario = Scenario.load("toy", [hosts, *SCALES])
    simulation = play(scenario, make_episode([(25.0, [Call(100, 10)])]), {10.0: stop(1)})
    tiers = simulation.state.visible.host_models[0]["tier"]
    assert tiers.tolist() == [[CPU] * 3, [DISK] * 3]


def test_numbers_of_nodes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(MaestroError, match=r"min_nodes \(3\) must not exceed max_nodes \(2\)"):
        load_scenario("toy", ["limits.autoscaling.min_nodes=3", "limits.autoscaling.max_nodes=2"])
