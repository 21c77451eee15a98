"""``NAME@early``: a policy as the systems of the literature run it, its stages bound to nodes at readiness."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_gym.baselines import TABLE, load_policy
from maestro_gym.baselines.parts import bound_early
from maestro_gym.baselines.registry import ORDERS, ROUTINGS
from maestro_gym.baselines.sentinel import decisions, examine_rules
from maestro_gym.core.boxed import box
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.actions import WAIT, demote_code
from maestro_gym.scheduling.legal import can_route
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.rules import BOUND_HOME, OPEN
from maestro_gym.scheduling.tiers import TIER_GLOBAL, TIER_NODE
from maestro_gym.state import NUM_RESERVE_LEVELS, RESERVE_MAX
from maestro_gym.state.types import HIDDEN, VIEW
from tests.baselines.hand import Hand, ask
from tests.sim.invariants import check_state
from tests.sim.test_invariants import prepare, simulate

CROWDED = ["contention=overload", "horizon_s=40", "drain_s=100"]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.load("quick", CROWDED)


def _waits_and_openings(policy: Policy, scenario: Scenario) -> tuple[int, int]:
    """Global decisions that wait, and node decisions while some ready stage could go to some node."""
    waits, openings = 0, 0
    for tier, simulation, _ in decisions(policy, scenario, most=3000):
        view = simulation.state.visible
        boxed = box(view, VIEW)
        if tier == TIER_GLOBAL:
            answer = policy.global_rule.function(boxed, box(simulation.state.hidden, HIDDEN), 0)
            waits += int(answer) == WAIT
        elif tier == TIER_NODE:
            ready = view.global_queue[0, : view.clock["global_len"][0]].tolist()
            nodes = range(len(scenario.world.nodes))
            openings += any(can_route(boxed, 0, stage, node) for stage in ready for node in nodes)
    return waits, openings


def test_no_ready_stage_waits_while_a_node_may_take_it(scenario: Scenario) -> None:
    assert _waits_and_openings(load_policy("edf@early", scenario), scenario) == (0, 0)
    waits, openings = _waits_and_openings(load_policy("edf", scenario), scenario)
    assert waits > 0
    assert openings > 0


def test_nothing_is_lost_and_nothing_is_illegal_when_stages_are_bound_early(scenario: Scenario) -> None:
    result = run_episode(scenario, load_policy("edf@early", scenario))
    assert result.counters["invalid_actions"] == 0
    assert result.counters["stages_finished"] > 100
    for stop_s in (10.0, 40.0, 120.0):
        simulation = simulate(*prepare(["workload.load=3"], stop_s, 1), "edf@early", 1)
        check_state(simulation.state)
        assert simulation.state.core.counters["stages_finished"][0] > 0


@pytest.mark.parametrize("name", ["las@early", "qoserve+maestro@early"])
def test_the_rules_of_an_early_form_keep_to_their_classes(name: str) -> None:
    policy = load_policy(name)
    findings = examine_rules(policy, policy.rules[:3])
    assert [finding.heeds for finding in findings] == [(), (), ()]


def test_every_gate_but_that_of_the_homes_is_gone() -> None:
    for parts in map(bound_early, TABLE.values()):
        assert parts.placement.gate in (OPEN, BOUND_HOME)
        assert parts.routing.gate in (OPEN, BOUND_HOME)
    assert bound_early(TABLE["no-colocation"]).routing.cost is ROUTINGS["pinned"].cost
    assert bound_early(TABLE["jsq"]).routing is ROUTINGS["jsq"]


def test_a_node_serves_its_queue_in_the_order_of_the_policy_and_keeps_a_rule_that_is_compared() -> None:
    edf = bound_early(TABLE["edf"]).node
    assert edf.order is ORDERS["edf"]
    assert edf.level == TABLE["fcfs"].node.level
    assert bound_early(TABLE["edf+maestro"]).node.order is ORDERS["edf"]
    assert bound_early(TABLE["oracle-srtf"]).node.information == "O"
    for name in ("fcfs", "llumnix", "static-max", "edf-node", "edf-node+maestro", "maestro"):
        assert bound_early(TABLE[name]).node is TABLE[name].node


def test_a_cold_node_takes_a_stage_at_once_that_late_binding_would_keep() -> None:
    hand = Hand()
    hand.engine(0, 0)
    hand.load(0, queued=8)
    hand.ready(hand.stage())
    assert ask(load_policy("edf").global_rule, hand) == WAIT
    assert ask(load_policy("edf@early").global_rule, hand) != WAIT
    hand.route(0)
    assert ask(load_policy("edf@early").cluster_rule, hand) == 1


def test_the_queue_of_a_node_is_sorted_by_deadline() -> None:
    hand = Hand()
    hand.engine(0, 0)
    hand.queue(0, hand.stage(deadline_s=300.0), hand.stage(deadline_s=200.0))
    early, late = (ask(load_policy(name).node_rule, hand) for name in ("edf@early", "edf"))
    assert early != late


def test_numbers_and_companions_come_along(tmp_path: Path) -> None:
    policy = load_policy("qoserve+maestro@early")
    assert policy.name == policy.spec == "qoserve+maestro@early"
    assert policy.numbers == load_policy("qoserve").numbers
    assert policy.family is not None
    assert load_policy(policy.family.name).name == policy.name
    path = tmp_path / "mine.yaml"
    path.write_text("family: qoserve\nformat: 1\nnumbers: {alpha: 0.002}\n", encoding="utf-8")
    mine = load_policy(f"{path}@early")
    assert mine.name == "mine@early"
    assert mine.cluster_rule.name == "warm-jsq@early"
    assert 0.002 in mine.numbers


@pytest.mark.filterwarnings("ignore:running the code")
def test_a_rule_of_the_users_own_binds_early_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from maestro_gym.scheduling.rules import order_by\n\n\ndef key(view, oracle, e, stage):\n    return 0.0\n\n\n"
        "RULE = order_by(key, name='mine', information='N', description='any', source='test')\n",
        encoding="utf-8",
    )
    policy = load_policy(f"{path}:RULE+maestro@early")
    assert policy.name == "mine+maestro@early"
    assert policy.node_rule.name == "maestro/mine"
    assert policy.cluster_rule.name == "maestro@early"


@pytest.mark.parametrize(("spec", "message"), [("edf@earl", "Did you mean `early`"), ("edff@early", "mean `edf`")])
def test_a_form_or_a_name_that_does_not_exist_is_answered_with_the_nearest(spec: str, message: str) -> None:
    with pytest.raises(MaestroError, match=message):
        load_policy(spec)


def test_a_home_takes_a_stage_of_a_second_absent_model_at_once() -> None:
    hand = Hand(nodes_per_cluster=2, num_models=3)  # models 0 and 2 (ranks 0 and 3 of a snake) are at home on node 0
    hand.load(0, queued=1, model=2)
    hand.ready(hand.stage(model=0))
    assert ask(load_policy("no-colocation").global_rule, hand) == WAIT
    for name in ("no-colocation@early", "edf-early"):
        assert ask(load_policy(name).global_rule, hand) != WAIT


def test_the_edf_of_the_paper_serves_one_model_by_deadline_and_sets_the_whole_limit_aside() -> None:
    hand = Hand()
    hand.engine(0, 0)
    hand.queue(0, hand.stage(deadline_s=300.0), hand.stage(deadline_s=200.0))
    assert ask(load_policy("edf-early").node_rule, hand) == 1 + 1 * NUM_RESERVE_LEVELS + RESERVE_MAX
    hand.engine(0, 1)
    asleep_first = ask(load_policy("edf-early").node_rule, hand)
    assert asleep_first == demote_code(box(hand.view, VIEW), 1)
