"""GPUs that are regrouped: how long a call takes at each degree, what a change costs, and that nothing is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maestro_gym.baselines.registry import complete, load_policy
from maestro_gym.config import load_scenario
from maestro_gym.core.boxed import box
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.performance.step_tables import step_tables, step_time_s
from maestro_gym.scheduling.actions import ACT_NONE, ACT_REGROUP, WAIT, node_act, regroup_code
from maestro_gym.scheduling.legal import can_regroup
from maestro_gym.scheduling.rules import regroup_by
from maestro_gym.scheduling.tiers import NO_TIER, TIER_NODE
from maestro_gym.scheduling.view import now_s
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import act, ask, open_engine, run_until
from maestro_gym.state import (
    CPU,
    ENGINE_AWAKE,
    NODE_DRAINING,
    NODE_OFF,
    NODE_READY,
    NODE_STARTING,
    View,
)
from maestro_gym.state.types import VIEW
from tests.sim.conftest import Call, make_episode, run_hand_made
from tests.sim.invariants import check_state
from tests.sim.test_failures import HAND

PERIOD_S, SWITCH_S = 10.0, 25.0
FOUR = "fleet.clusters=[{{name: solo, hosts: [{{count: 1, host: gpu4-1152, nodes: {}, tp: {}, gpu: A100-80GB}}]}}]"
SWITCHES = f"limits.parallelism={{degrees: [1, 2, 4], period_s: {PERIOD_S}, switch_s: {SWITCH_S}}}"
ELASTIC = (*HAND, FOUR.format(4, 1), SWITCHES)


def at_degree(gpus: int) -> Scenario:
    """The four GPUs in nodes of one degree, which stays."""
    return Scenario.load("toy", (*HAND, FOUR.format(4 // gpus, gpus)))


def to_four(view: View, e: int, node: int) -> int:
    """All GPUs in one node, but only from 20 s on."""
    return 4 if now_s(view, e) >= 20.0 else int(view.world.nodes[node].gpus)


def there_and_back(view: View, e: int, node: int) -> int:
    """Two groups of two at first, four of one from 60 s on."""
    return 1 if now_s(view, e) >= 60.0 else 2


def policy_of(degree: Any) -> Any:  # noqa: ANN401
    """A rule of elastic parallelism with plain companions."""
    rule = regroup_by(degree, name=degree.__name__, information="N", description="a test", source="here")
    return complete(rule, "plain")


def run(episode: Any, degree: Any, overrides: tuple[str, ...] = ELASTIC) -> Simulation:  # noqa: ANN401
    """Run an episode under a rule; every decision finds the state consistent."""
    scenario = Scenario.load("toy", overrides)
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, episode)
    engine: Any = open_engine(simulation, policy_of(degree))
    while (tier := run_until(engine, 0, 1 << TIER_NODE)) != NO_TIER:
        check_state(simulation.state)
        act(engine, 0, tier, ask(engine, 0, tier))
    check_state(simulation.state)
    return simulation


def states(simulation: Simulation) -> list[int]:
    """States of the nodes: four of one GPU, two of two, one of four."""
    return simulation.state.visible.nodes[0]["node_state"].tolist()


@pytest.mark.parametrize("gpus", [1, 2, 4])
def test_a_call_takes_what_the_step_tables_of_its_degree_say(gpus: int) -> None:
    scenario = at_degree(gpus)
    prompt, output = 5000, 40
    simulation = run_hand_made(scenario, make_episode([(1.0, [Call(prompt, output)])]))
    config = scenario.config
    limits, gpu = config.limits, config.gpus["A100-80GB"]
    budget = limits.max_num_batched_tokens
    tables = step_tables(
        config.architectures["Llama-3.1-8B"], gpu, gpus, budget, limits.max_num_seqs, limits.moe_kernel
    )
    chunks = [(min(budget, prompt - past), past) for past in range(0, prompt, budget)]
    seconds = sum(step_time_s(tables, [chunk], [], int(chunk is chunks[-1])) for chunk in chunks)
    seconds += sum(step_time_s(tables, [], [prompt + 1 + token]) for token in range(output - 1))
    row = simulation.state.visible.stages[0, 0]
    assert row["finished_s"] - row["admitted_s"] == pytest.approx(seconds, rel=1e-9)


def test_more_gpus_make_a_long_prompt_quicker_and_the_board_less_productive() -> None:
    def last_s(gpus: int, count: int) -> float:
        calls = [(1.0, [Call(200, 100)]) for _ in range(count)]
        everywhere = np.array([[True, False, False]] * (4 // gpus))
        rows = run_hand_made(at_degree(gpus), make_episode(calls), placement=everywhere).state.visible.stages[0]
        return float(rows["finished_s"][:count].max())

    alone = [run_hand_made(at_degree(p), make_episode([(1.0, [Call(12000, 1)])])) for p in (1, 4)]
    first, quick = (float(one.state.visible.stages[0, 0]["finished_s"]) - 1.0 for one in alone)
    assert quick < 0.5 * first
    assert last_s(4, 1) < last_s(1, 1)
    assert last_s(4, 1200) > last_s(1, 1200)


def test_a_change_costs_exactly_its_seconds() -> None:
    whole_s = run_hand_made(at_degree(4), make_episode([(1.0, [Call(100, 200)])]))
    alone_s = float(whole_s.state.visible.stages[0, 0]["finished_s"]) - 1.0
    simulation = run(make_episode([(21.0, [Call(100, 200)])]), to_four)
    row, core = simulation.state.visible.stages[0, 0], simulation.state.core
    assert row["sent_s"] == 20.0 + SWITCH_S
    assert row["finished_s"] == pytest.approx(20.0 + SWITCH_S + alone_s)
    assert states(simulation) == [NODE_OFF] * 6 + [NODE_READY]
    assert core.node_state_s[0, 6, NODE_STARTING] == SWITCH_S
    assert core.counters[0]["regroups"] == 1
    assert core.counters[0]["cold_starts"] == 0


def test_a_board_drains_first_and_changes_when_its_last_call_is_done() -> None:
    episode = make_episode([(1.0, [Call(100, 4000)]), (22.0, [Call(100, 10)])])
    simulation = run(episode, to_four)
    rows, spent = simulation.state.visible.stages[0], simulation.state.core.node_state_s[0]
    done_s, node = float(rows["finished_s"][0]), int(rows["node"][0])
    assert node < 4
    assert done_s > 40.0
    assert 20.0 + spent[node, NODE_DRAINING] == pytest.approx(done_s)
    # Its neighbours wait for it, and are paid for.
    assert spent[:4, NODE_DRAINING] == pytest.approx([spent[node, NODE_DRAINING]] * 4)
    assert rows["sent_s"][1] == pytest.approx(done_s + SWITCH_S)
    assert rows["node"][1] == 6
    assert simulation.state.core.counters[0]["restarts"] == 0


def test_what_ran_before_runs_after_without_a_load_and_the_page_cache_stays() -> None:
    simulation = run(make_episode([(100.0, [Call(100, 10)]), (100.0, [Call(100, 10, model=1)])]), there_and_back)
    assert simulation.state.core.counters[0]["regroups"] == 2
    assert simulation.state.core.counters[0]["cold_starts"] == 0
    assert states(simulation) == [NODE_READY] * 4 + [NODE_OFF] * 3
    view = simulation.state.visible
    running = [
        {int(engine["model"]) for engine in node if engine["status"] == ENGINE_AWAKE} for node in view.engines[0]
    ]
    assert set().union(*running[:4]) >= {0, 1}
    assert all(running[:4])
    assert not any(running[4:])
    assert (view.host_models[0]["tier"] == CPU).all()


def test_all_gpus_are_paid_for_and_each_is_in_one_node_at_any_time() -> None:
    calls = [(float(t), [Call(60 * t, 100), Call(200, 50, parents=[0])]) for t in range(1, 90, 3)]
    simulation = run(make_episode(calls), there_and_back)
    counters, end_s = simulation.state.core.counters[0], float(simulation.state.visible.clock[0]["now_s"])
    assert counters["finished"] == len(calls)
    nodes = simulation.state.visible.nodes[0]
    spent = simulation.state.core.node_state_s[0].copy()
    spent[np.arange(7), nodes["node_state"]] += end_s - nodes["state_since_s"]
    on_s = spent.sum(1) - spent[:, NODE_OFF]
    assert (simulation.world.nodes["gpus"] * on_s).sum() == pytest.approx(4 * end_s)
    assert spent[:, NODE_STARTING] == pytest.approx([SWITCH_S] * 6 + [0.0])


def test_a_degree_is_chosen_at_its_moments_only_and_waiting_keeps_it() -> None:
    scenario = Scenario.load("toy", ELASTIC)
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, make_episode([(35.0, [Call(100, 10)])]))
    engine: Any = open_engine(simulation, policy_of(to_four))
    view: Any = box(simulation.state.visible, VIEW)
    clock = simulation.state.visible.clock[0]
    for moment in (1, 2):
        assert run_until(engine, 0, 1 << TIER_NODE) == TIER_NODE
        assert (clock["now_s"], clock["regrouping"], clock["place"]) == (moment * PERIOD_S, 1, 0)
        assert [can_regroup(view, 0, 0, gpus) for gpus in (1, 2, 3, 4, 8)] == [False, True, False, True, False]
        assert act(engine, 0, TIER_NODE, WAIT)
    assert run_until(engine, 0, 1 << TIER_NODE) == TIER_NODE
    assert not act(engine, 0, TIER_NODE, regroup_code(view, 8))
    assert simulation.state.core.counters[0]["invalid_actions"] == 1
    assert run_until(engine, 0, 1 << TIER_NODE) == TIER_NODE  # the call's own decision
    assert clock["regrouping"] == 0
    assert not can_regroup(view, 0, int(clock["place"]), 4)
    assert node_act(view, regroup_code(view, 4)) == (ACT_REGROUP, 4, -1)
    toy: Any = box(Simulation(Scenario.load("toy").world).state.visible, VIEW)
    assert node_act(toy, regroup_code(toy, 4))[0] == ACT_NONE


def test_a_policy_that_chooses_no_degree_is_not_asked() -> None:
    simulation = run_hand_made(Scenario.load("toy", ELASTIC), make_episode([(35.0, [Call(100, 10)])]))
    same = run_hand_made(at_degree(1), make_episode([(35.0, [Call(100, 10)])]))
    assert simulation.state.visible.clock[0]["decisions"] == same.state.visible.clock[0]["decisions"]
    assert simulation.state.visible.stages[0]["finished_s"][0] == same.state.visible.stages[0]["finished_s"][0]


def test_the_fleet_costs_the_same_whatever_it_is_grouped_to() -> None:
    scenario = Scenario.load("elastic", ["horizon_s=120", "limits.parallelism.switch_s=5"])
    rows = [run_episode(scenario, load_policy(name), "test", 10) for name in ("fcfs", "static-degree")]
    on_h = [
        float((r.world.nodes["gpus"] * (r.node_state_s.sum(1) - r.node_state_s[:, NODE_OFF])).sum() / r.end_s)
        for r in rows
    ]
    assert on_h == pytest.approx([8.0, 8.0])


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["limits.parallelism.degrees=[1, 3, 4]"], r"degrees \(\[1, 3, 4\]\) ascend"),
        (["limits.parallelism.degrees=[1, 8]"], "4 nodes of 1 GPUs are no whole number of groups of 8"),
        (["limits.parallelism.degrees=[2, 4]"], "tp 1 is none of"),
        (["limits.parallelism.degrees=[1, 4]", "limits.autoscaling.period_s=30"], "leave one out"),
        (["limits.parallelism.degrees=[1, 4]", "fleet.failures.node_mtbf_s=600"], "do not fail yet"),
        (["limits.parallelism.degrees=[1, 4]", "models.2.architecture=Llama-3-70B"], "large does not fit at each of"),
    ],
)
def test_degrees_that_make_no_sense_are_refused(overrides: list[str], match: str) -> None:
    with pytest.raises(MaestroError, match=match):
        load_scenario("toy", [*HAND, FOUR.format(4, 1), *overrides])


def test_a_context_is_as_long_as_the_degree_with_the_least_room_holds() -> None:
    elastic, small, large = (
        load_scenario("toy", [FOUR.format(4 // gpus, gpus), "limits.gpu_memory_utilization=0.85", *more])
        for gpus, more in ((4, [SWITCHES]), (1, []), (4, []))
    )
    lengths = [config.max_model_len(config.models[2]) for config in (elastic, small, large)]
    assert lengths[0] == lengths[1] < lengths[2]
