"""Stale signals: a router knows each kind by the last scrape that has arrived, and a node knows itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config import load_scenario
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.tiers import NO_TIER, TIER_GLOBAL
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import OWN, answer_and_run, open_engine, run_until
from maestro_gym.state import (
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    OUTAGE,
    SIGNAL_QUEUES,
    SIGNAL_RESIDENCY,
    SIGNAL_RUNNING,
)
from tests.baselines.hand import GB, Hand, ask
from tests.sim.conftest import Call, make_episode
from tests.sim.test_invariants import digest

KINDS = ("queues", "running", "residency")


def stale(hand: Hand, kind: int) -> Hand:
    """A fleet whose routers know a kind of signals by scrapes."""
    hand.world.signals[kind].period_s = 10.0
    return hand


def router(name: str, hand: Hand) -> int:
    return ask(load_policy(name).cluster_rule, hand)


def test_a_router_takes_the_queue_that_was_shorter_at_the_scrape() -> None:
    for kind, expected in ((None, 1), (SIGNAL_QUEUES, 0), (SIGNAL_RESIDENCY, 1)):
        hand = Hand()
        for node in (0, 1):
            hand.engine(node, 0)
        hand.view.nodes[0, 0].queue_len, hand.view.scraped[0, 0, 1].queue_len = 3, 2  # now, and at the scrape
        if kind is not None:
            stale(hand, kind)
            hand.view.scraped_status[0, 0, :, 0] = ENGINE_AWAKE
        hand.route(hand.stage())
        assert router("jsq", hand) == expected


def test_a_router_takes_the_node_that_ran_less_and_used_less_memory_at_the_scrape() -> None:
    for policy in ("jsq", "least-kv"):
        for kind, expected in ((None, 1), (SIGNAL_RUNNING, 0), (SIGNAL_QUEUES, 1)):
            hand = Hand()
            hand.engine(0, 0, running=3)
            hand.engine(1, 0)
            hand.view.nodes[0, 0].kv_used_bytes = 9 * GB
            hand.view.scraped[0, 0, 1].running, hand.view.scraped[0, 0, 1].kv_used_bytes = 4, 8 * GB
            if kind is not None:
                stale(hand, kind)
            hand.route(hand.stage())
            assert router(policy, hand) == expected, policy


def test_a_router_takes_the_node_that_was_warm_at_the_scrape() -> None:
    for kind, expected in ((None, 1), (SIGNAL_RESIDENCY, 0), (SIGNAL_RUNNING, 1)):
        hand = Hand()
        hand.engine(0, 0, ENGINE_ASLEEP)
        hand.engine(1, 0)
        hand.view.scraped_status[0, 0, :, 0] = ENGINE_AWAKE, ENGINE_ASLEEP
        if kind is not None:
            stale(hand, kind)
        hand.route(hand.stage())
        assert router("warm-jsq", hand) == expected
        assert router("serverlessllm", hand) == expected


def test_a_node_knows_itself() -> None:
    hand = stale(stale(Hand(), SIGNAL_QUEUES), SIGNAL_RESIDENCY)
    stage = hand.stage()
    hand.engine(0, 0)
    hand.queue(0, stage)
    assert ask(load_policy("fcfs").node_rule, hand) > 0


TOY = (
    "limits.api_s=0.0",
    "fleet.local_latency_s=0.0",
    "limits.node_queue_limit=inf",
    "limits.wait_max_s=1000",
    "horizon_s=100",
)


def scenario_of(*overrides: str) -> Scenario:
    return Scenario.load("toy", [*TOY, *overrides])


def known_queues(scenario: Scenario, arrivals_s: list[float], policy: str = "jsq") -> list[tuple[float, list[int]]]:
    """When a router was asked, and how many stages it then knew at each node."""
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, make_episode([(arrival_s, [Call(400, 3000)]) for arrival_s in arrivals_s]))
    engine, found = open_engine(simulation, load_policy(policy, scenario)), []
    tier = run_until(engine, 0, 1 << TIER_GLOBAL)
    while tier != NO_TIER:
        view = simulation.state.visible
        known = view.scraped[0, view.clock[0]["router"]]
        seen = known["queue_len"] + known["inbound"] + known["running"]
        found.append((float(view.clock[0]["now_s"]), [int(n) for n in seen]))
        tier = answer_and_run(engine, 0, OWN, 1 << TIER_GLOBAL, -math.inf)
    return found


def test_a_scrape_is_known_after_its_delay_and_stands_until_the_next_is_known() -> None:
    ages = []
    for kind in ("queues", "running"):
        ages += [f"limits.signals.{kind}.period_s=4", f"limits.signals.{kind}.delay_s=1"]
    # The first two are known from 5 s on, the scrape at 4 s arrives then; the third from 9 s on.
    found = dict(known_queues(scenario_of(*ages), [0.5, 3.0, 4.5, 5.5, 8.5, 9.5]))
    assert found[0.5] == found[3.0] == found[4.5] == [0, 0]
    assert sum(found[5.5]) == sum(found[8.5]) == 2
    assert sum(found[9.5]) == 4


def aged(*kinds: str, period_s: float, delay_s: float = 0.0) -> list[str]:
    return [f"limits.signals.{k}={{period_s: {period_s}, delay_s: {delay_s}}}" for k in kinds]


def test_each_router_knows_what_it_scraped_itself() -> None:
    scenario = scenario_of(*aged("queues", "running", period_s=4), "limits.signals.routers=2")
    # The first router has the workflows of 0.5, 3 and 5.5 s and scrapes at 2 and 6 s, the second scrapes at 4 and 8 s.
    found = dict(known_queues(scenario, [0.5, 2.5, 3.0, 5.0, 5.5, 7.0]))
    assert {at_s: sum(known) for at_s, known in found.items()} == {0.5: 0, 2.5: 0, 3.0: 1, 5.0: 3, 5.5: 1, 7.0: 3}


def test_two_routers_of_one_moment_join_the_same_queue_and_one_that_counts_its_sends_does_not() -> None:
    arrivals_s = [1.0 + 0.01 * k for k in range(8)]
    ages = [*aged("queues", "running", period_s=50), "limits.signals.routers=2"]
    for more, expected in (((), [0] * 8), (("limits.signals.own_sends=true",), [0, 0, 1, 1, 0, 0, 1, 1])):
        scenario = scenario_of(*ages, *more)
        simulation = Simulation(scenario.world, evaluation=True)
        simulation.load(0, make_episode([(at_s, [Call(400, 100)]) for at_s in arrivals_s]))
        run_until(open_engine(simulation, load_policy("jsq", scenario)), 0, 0)
        nodes = simulation.state.visible.stages[0]["node"][:8].tolist()
        assert nodes == [nodes[0] ^ node for node in expected], "each alternates by what it sent itself"


def test_a_router_counts_its_sends_until_it_knows_a_scrape_that_was_taken_after_them() -> None:
    scenario = scenario_of(*aged("queues", period_s=4, delay_s=2), "limits.signals.own_sends=true")
    # On a warm node nobody waits: the scrape at 4 s finds nothing, is known at 6 s, and lacks what 4.5 and 5.5 s sent.
    found = dict(known_queues(scenario, [0.5, 3.0, 4.5, 5.5, 6.5], "warm-jsq"))
    assert {at_s: sum(known) for at_s, known in found.items()} == {0.5: 0, 3.0: 1, 4.5: 2, 5.5: 3, 6.5: 2}


def test_stages_of_one_period_follow_each_other_to_one_node() -> None:
    scenario = scenario_of("limits.signals.queues.period_s=50", "limits.signals.running.period_s=50")
    fresh = scenario_of()
    for case, expected in ((scenario, 1), (fresh, 2)):
        simulation = Simulation(case.world, evaluation=True)
        simulation.load(0, make_episode([(1.0 + 0.1 * k, [Call(400, 100)]) for k in range(8)]))
        run_until(open_engine(simulation, load_policy("jsq", case)), 0, 0)
        assert len(np.unique(simulation.state.visible.stages[0]["node"][:8])) == expected


def test_fresh_signals_leave_no_trace() -> None:
    """Scrapes that nobody looks at change nothing, and no scrapes at all are the default."""
    digests = []
    for overrides in ((), ("limits.signals.residency.period_s=0",)):
        scenario = Scenario.load("toy", ["workload.load=1.5", "horizon_s=60", "drain_s=60", *overrides])
        simulation = Simulation(scenario.world, evaluation=True)
        simulation.load(0, scenario.episode("test", 4, 0), key=4)
        run_until(open_engine(simulation, load_policy("maestro", scenario)), 0, 0)
        digests.append(digest(simulation))
    assert digests[0] == digests[1]


@pytest.mark.parametrize("routers", [1, 3])
@pytest.mark.parametrize("policy", ["jsq", "warm-jsq", "power-of-two", "maestro", "least-kv", "no-colocation"])
def test_every_workflow_is_served_however_old_the_signals(policy: str, routers: int) -> None:
    ages = [f"limits.signals.{kind}.period_s=30" for kind in KINDS] + ["limits.signals.residency.delay_s=30"]
    ages.append(f"limits.signals.routers={routers}")
    scenario = Scenario.load("toy", ["workload.load=0.5", "horizon_s=60", "drain_s=600", *ages])
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("test", 4, 0), key=4)
    run_until(open_engine(simulation, load_policy(policy, scenario)), 0, 0)
    counters = simulation.state.core.counters[0]
    assert counters["finished"] == counters["arrived"] > 0


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["limits.signals.queues.delay_s=2"], r"delay_s \(2.0\) must not exceed period_s \(0.0\)"),
        (["limits.signals.queues.period_s=1e-5"], r"period_s \(1e-05\) is 0 or at least"),
        (["limits.signals.running.period_s=2", "limits.metrics_delay_s=1"], "both say how old the KV in use is"),
    ],
)
def test_ages_that_make_no_sense_are_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(MaestroError, match=words):
        load_scenario("quick", overrides)


def test_a_slot_that_was_given_up_shows_nothing_of_the_engine_that_it_held() -> None:
    scenario = scenario_of("limits.metrics_delay_s=5", "limits.wait_max_s=1")
    simulation = Simulation(scenario.world, evaluation=True)
    # What runs on node 0 was scraped at 5 s; the node is lost at 6 s.
    lost = np.array([(6.0, 0, 0, 1, -1, -1)], OUTAGE)
    simulation.load(0, make_episode([(1.0, [Call(400, 3000)])])._replace(outages=lost))
    engine = open_engine(simulation, load_policy("jsq", scenario))
    view = simulation.state.visible
    tier = run_until(engine, 0, 1 << TIER_GLOBAL)
    while view.clock[0]["now_s"] < 6.0:
        tier = answer_and_run(engine, 0, OWN, 1 << TIER_GLOBAL, -math.inf)
    assert tier != NO_TIER
    assert view.clock[0]["now_s"] == 6.0
    assert view.nodes[0, 0]["kv_used_bytes"] > 0.0, "the node is known by its last scrape"
    assert np.all(view.engines[0, 0]["kv_used_bytes"] == 0.0)
