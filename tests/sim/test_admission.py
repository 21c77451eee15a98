"""A workflow that is turned away: what leaves with it, what is counted, and that nobody is lost on the way."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.core.boxed import box
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.actions import WAIT, reject_code, send_code
from maestro_gym.scheduling.tiers import NO_TIER, TIER_GLOBAL
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import act, open_engine, run_until
from maestro_gym.state import DONE_DRAINED, DONE_NAMES, STAGE_FUTURE, STAGE_REJECTED, Episode
from maestro_gym.state.types import VIEW
from tests.sim.conftest import Call, make_episode
from tests.sim.invariants import check_state

RULES = ("reject-late", "shed", "gateway", "reject-late+maestro", "shed+maestro", "gateway+maestro")
CROWD = ("limits.admission=true", "workload.load=3.0", "horizon_s=90")


@pytest.fixture(scope="module")
def toy() -> Scenario:
    return Scenario.load("toy", ["limits.admission=true"])


def run_by(scenario: Scenario, episode: Episode, choose: Callable[[Simulation, object], int]) -> Simulation:
    """Run an episode whose global decisions a function of the simulation and its boxed view takes."""
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, episode)
    engine = open_engine(simulation, load_policy("fcfs"))
    view = box(simulation.state.visible, VIEW)
    while run_until(engine, 0, 1 << TIER_GLOBAL) != NO_TIER:
        check_state(simulation.state)
        assert act(engine, 0, TIER_GLOBAL, choose(simulation, view))
    check_state(simulation.state)
    return simulation


def first_ready(simulation: Simulation) -> int:
    """The stage at the head of the global queue."""
    return int(simulation.state.visible.global_queue[0, 0])


def test_both_roots_of_a_rejected_workflow_leave_and_its_child_is_never_ready(toy: Scenario) -> None:
    diamond = [Call(100, 10), Call(100, 10), Call(100, 10, parents=(0, 1))]
    episode = make_episode([(1.0, diamond), (2.0, [Call(100, 10)])], deadline_s=60.0)

    def choose(simulation: Simulation, view: object) -> int:
        stage = first_ready(simulation)
        return int(reject_code(view, 1) if stage == 0 else send_code(view, stage, 0))

    simulation = run_by(toy, episode, choose)
    view, _, core = simulation.state
    counters, workflows = core.counters[0], view.workflows[0]
    assert view.stages[0, :3]["phase"].tolist() == [STAGE_REJECTED, STAGE_REJECTED, STAGE_FUTURE]
    assert workflows["rejected_s"][:2].tolist() == [1.0, math.inf]
    assert workflows["begun_s"][:2].tolist() == [math.inf, 2.0]
    assert (counters["arrived"], counters["finished"], counters["rejected"]) == (2, 1, 1)
    assert (counters["slo_met_weight"], counters["slo_missed_weight"]) == (1.0, 1.0)
    # 60 s until the deadline of the one, and what the other took.
    assert counters["weighted_residence"] == pytest.approx(60.0 + workflows["finished_s"][1] - 2.0)
    assert core.env[0]["done"] == DONE_DRAINED


def test_a_workflow_may_wait_and_be_turned_away_later(toy: Scenario) -> None:
    episode = make_episode([(1.0, [Call(100, 10)]), (20.0, [Call(100, 10)])], deadline_s=30.0)

    def choose(simulation: Simulation, view: object) -> int:
        now_s = simulation.state.visible.clock[0]["now_s"]
        stage = first_ready(simulation)
        if stage == 1:
            return int(send_code(view, 1, 0))
        return WAIT if now_s < 12.0 else int(reject_code(view, 0))

    simulation = run_by(toy, episode, choose)
    rejected_s = float(simulation.state.visible.workflows[0, 0]["rejected_s"])
    assert rejected_s == pytest.approx(16.0)  # asked at 1, 6, 11, 16: a wait lasts 5 s
    assert simulation.state.core.counters[0]["weighted_residence"] == pytest.approx(
        30.0 + simulation.state.visible.workflows[0, 1]["finished_s"] - 20.0
    )


def test_what_has_begun_cannot_be_turned_away(toy: Scenario) -> None:
    episode = make_episode([(1.0, [Call(100, 10), Call(100, 10, parents=(0,))])])
    simulation = Simulation(toy.world, evaluation=True)
    simulation.load(0, episode)
    engine = open_engine(simulation, load_policy("fcfs"))
    view = box(simulation.state.visible, VIEW)
    assert run_until(engine, 0, 1 << TIER_GLOBAL) == TIER_GLOBAL
    assert act(engine, 0, TIER_GLOBAL, send_code(view, 0, 0))
    assert run_until(engine, 0, 1 << TIER_GLOBAL) == TIER_GLOBAL
    assert first_ready(simulation) == 1
    assert not act(engine, 0, TIER_GLOBAL, reject_code(view, 1))
    assert simulation.state.core.counters[0]["rejected"] == 0
    assert simulation.state.core.counters[0]["invalid_actions"] == 1


def test_the_global_tier_is_asked_though_no_place_is_free(toy: Scenario) -> None:
    scenario = Scenario.load("toy", ["limits.admission=true", "limits.node_queue_limit=1", "limits.max_num_seqs=1"])
    episode = make_episode([(1.0 + 0.01 * i, [Call(100, 400)]) for i in range(12)], deadline_s=60.0)
    asked_full = []

    def choose(simulation: Simulation, view: object) -> int:
        nodes = simulation.state.visible.nodes[0]
        full = bool((nodes["queue_len"] + nodes["inbound"] >= 1).all())
        asked_full.append(full)
        stage = first_ready(simulation)
        return int(reject_code(view, stage)) if full else int(send_code(view, stage, 0))

    simulation = run_by(scenario, episode, choose)
    counters = simulation.state.core.counters[0]
    assert any(asked_full)
    assert counters["rejected"] > 0
    assert counters["rejected"] + counters["finished"] == counters["arrived"] == 12


def run(policy: str, overrides: tuple[str, ...]) -> EpisodeResult:
    """One test episode of the crowded toy scenario."""
    scenario = Scenario.load("toy", list(overrides))
    return run_episode(scenario, load_policy(policy, scenario), "test", 0)


@pytest.mark.parametrize("policy", RULES)
def test_a_rule_sheds_under_a_crowd_and_says_so(policy: str) -> None:
    result = run(policy, CROWD)
    row = result_row(result)
    rejected = np.isfinite(result.workflows["rejected_s"])
    assert result.counters["invalid_actions"] == 0
    assert rejected.sum() == result.counters["rejected"] > 0
    assert row["shed_share"] == pytest.approx(rejected.mean())
    assert row["slo_attainment"] <= 1.0 - row["shed_share"]
    if policy.startswith("shed"):
        assert row["shed_share_interactive"] == 0.0
    assert result.done in (DONE_NAMES[DONE_DRAINED], "time limit")


@pytest.mark.parametrize("policy", ["reject-late", "gateway+maestro"])
def test_without_the_switch_the_rule_decides_as_its_companions_do(policy: str) -> None:
    mine = run(policy, CROWD[1:])
    plain = run("maestro" if "maestro" in policy else "fcfs", CROWD[1:])
    assert mine.counters["rejected"] == 0
    np.testing.assert_array_equal(mine.workflows["finished_s"], plain.workflows["finished_s"])
    np.testing.assert_array_equal(mine.stages["admitted_s"], plain.stages["admitted_s"])
