"""Rules of autoscaling on instances small enough to solve by hand, and one that forgets what it has started."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from maestro_gym.baselines.autoscale import little, queue_threshold
from maestro_gym.baselines.registry import load_policy
from maestro_gym.core.compile import interpreted
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.actions import WAIT, start_code, stop_code
from maestro_gym.scheduling.numbers import FIRST_OWN
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.rules import Autoscaling
from maestro_gym.scheduling.scaling import step_towards
from maestro_gym.scheduling.tiers import NO_TIER, TIER_CLUSTER
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import OWN, answer_and_run, open_engine, run_until
from maestro_gym.state import NODE_DRAINING, NODE_OFF, NODE_READY, NODE_STARTING
from tests.baselines.hand import NOW_S, Hand

NODES = 4


@pytest.fixture
def hand() -> Hand:
    """Four nodes at a moment at which they may be started and stopped, all of them ready."""
    made = Hand(nodes_per_cluster=NODES)
    made.view.clock.scaling, made.view.clock.nodes_on = 1, NODES
    made.world.params.min_nodes, made.world.params.max_nodes = 1, NODES
    return made


def given(hand: Hand, rule: Autoscaling, **values: float) -> None:
    """The policy has the numbers of a rule, some of them other than their defaults."""
    hand.given(rule)
    for place, number in enumerate(rule.numbers, FIRST_OWN):
        hand.view.numbers[0, place] = values.get(number.name, number.default)


def put_into(hand: Hand, *states: int) -> None:
    """Say what each node is doing."""
    hand.view.nodes["node_state"][0] = states
    hand.view.clock.nodes_on = sum(state not in (NODE_OFF, NODE_DRAINING) for state in states)


def test_little_asks_for_as_many_nodes_as_arriving_work_keeps_busy(hand: Hand) -> None:
    given(hand, little.RULE, window=50.0, stages_per_node=4.0, headroom=1.5)
    for age_s in (1.0, 20.0, 49.0, 51.0):  # the last is before the window
        hand.stage(prompt=10_000, output=4900, ready_s=NOW_S - age_s)
    # Each is 1 s of prefill and 49 s of decoding; three in 50 s are 3 at a time, and 1.5 * 3 / 4 is 1.125 nodes.
    assert interpreted(little.target)(hand.view, 0) == 2


def test_little_does_not_count_what_waits(hand: Hand) -> None:
    given(hand, little.RULE, window=50.0, stages_per_node=4.0, headroom=1.5)
    hand.ready(*(hand.stage(prompt=10_000, output=4900, ready_s=NOW_S - 60.0) for _ in range(8)))
    assert interpreted(little.target)(hand.view, 0) == 0


@pytest.mark.parametrize(("stages", "wanted"), [(8, 4), (41, 5), (40, 4), (7, 3)])
def test_the_threshold_goes_a_step_up_or_down_and_in_between_stays(hand: Hand, stages: int, wanted: int) -> None:
    given(hand, queue_threshold.RULE, high=10.0, low=2.0)
    hand.load(0, running=stages)
    assert interpreted(queue_threshold.target)(hand.view, 0) == wanted


@pytest.mark.parametrize(("counts", "wanted"), [(1.0, 4), (0.0, 5)])
def test_who_does_not_count_what_starts_asks_for_more_of_it(hand: Hand, counts: float, wanted: int) -> None:
    given(hand, queue_threshold.RULE, high=10.0, low=2.0, counts_starting=counts)
    put_into(hand, NODE_READY, NODE_READY, NODE_STARTING, NODE_STARTING)
    hand.load(0, running=30)
    assert interpreted(queue_threshold.target)(hand.view, 0) == wanted


def test_who_drains_is_called_back_before_another_is_started(hand: Hand) -> None:
    put_into(hand, NODE_READY, NODE_OFF, NODE_DRAINING, NODE_READY)
    step = interpreted(step_towards)
    assert step(hand.view, 0, 3) == start_code(hand.view, 2)
    put_into(hand, NODE_READY, NODE_OFF, NODE_READY, NODE_READY)
    assert step(hand.view, 0, 4) == start_code(hand.view, 1)
    assert step(hand.view, 0, 3) == WAIT


def test_who_starts_is_stopped_first_then_who_has_least_to_serve(hand: Hand) -> None:
    step = interpreted(step_towards)
    for node, running in enumerate((3, 1, 2, 2)):
        hand.load(node, running=running)
    assert step(hand.view, 0, 3) == stop_code(hand.view, 1)
    put_into(hand, NODE_STARTING, NODE_READY, NODE_READY, NODE_READY)
    assert step(hand.view, 0, 3) == stop_code(hand.view, 0)


def test_no_step_leaves_the_least_and_the_greatest_number(hand: Hand) -> None:
    hand.world.params.min_nodes = NODES
    assert interpreted(step_towards)(hand.view, 0, 1) == WAIT
    put_into(hand, NODE_READY, NODE_READY, NODE_READY, NODE_OFF)
    hand.world.params.max_nodes = 3
    assert interpreted(step_towards)(hand.view, 0, 4) == WAIT


STEADY = (
    "fleet.clusters=[{name: solo, hosts: [{count: 8, host: gpu2-512, nodes: 1, gpu: A100-80GB}]}]",
    "models=[{name: small, architecture: Llama-3.1-8B, size_class: small, popularity: 1}]",
    "workload.load=0.06",
    "workload.knee=null",
    "horizon_s=1500",
    "drain_s=60",
    "limits.autoscaling.period_s=10",
    "limits.autoscaling.start_s=120",
)


def nodes_by_moment(scenario: Scenario, policy: Policy) -> Iterator[int]:
    """Nodes that are on at each decision of the cluster tier, in the second half of the arrivals."""
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("validation", 0, 0))
    engine = open_engine(simulation, policy)
    tier = run_until(engine, 0, 1 << TIER_CLUSTER)
    while tier != NO_TIER:
        clock = simulation.state.visible.clock[0]
        if 0.5 * scenario.config.horizon_s < clock["now_s"] < scenario.config.horizon_s:
            yield int(clock["nodes_on"])
        tier = answer_and_run(engine, 0, OWN, 1 << TIER_CLUSTER, 0.0)


def with_numbers(name: str, **values: float) -> Policy:
    policy = load_policy(name)
    assert policy.family is not None
    given = dict(zip((number.name for number in policy.family.numbers), policy.family.defaults(), strict=True))
    return replace(policy, numbers=policy.family.in_view(tuple((given | values).values())))


def test_a_planner_that_forgets_what_it_has_started_oscillates_under_a_steady_load() -> None:
    scenario = Scenario.load("toy", STEADY)
    swings = {}
    for name, policy in {
        "forgets": with_numbers("queue-threshold", counts_starting=0.0, high=7.0, low=5.0),
        "counts": with_numbers("queue-threshold", high=7.0, low=5.0),
        "little": with_numbers("little"),
    }.items():
        on = np.array(list(nodes_by_moment(scenario, policy)))
        swings[name] = int(on.max() - on.min())
    assert swings["forgets"] >= 4
    assert swings["forgets"] > swings["counts"]
    assert swings["little"] <= 1


@pytest.mark.parametrize("policy", ["little", "queue-threshold+maestro"])
def test_a_rule_scales_where_it_may_and_only_there(policy: str) -> None:
    scenario = Scenario.load("toy", [*STEADY, "horizon_s=200"])
    row = result_row(run_episode(scenario, load_policy(policy, scenario), "test", 0))
    assert row["invalid_actions"] == 0
    assert row["node_h"] < 8 * row["end_s"] / 3600
    still = Scenario.load("toy", [*STEADY[:-2], "horizon_s=200"])
    row = result_row(run_episode(still, load_policy(policy, still), "test", 0))
    assert row["node_h"] == pytest.approx(8 * row["end_s"] / 3600)
    assert row["node_starts"] == 0
