"""Links between clusters that fail and come back: what waits how long, what may be sent meanwhile, what is lost."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config import load_scenario
from maestro_gym.core.boxed import box
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.outages import outages_of
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.legal import can_route, can_send, is_cut_off
from maestro_gym.scheduling.tiers import NO_TIER, TIER_GLOBAL
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import OWN, answer_and_run, open_engine, run_until
from maestro_gym.state import NO_OUTAGES, OUTAGE, Episode
from maestro_gym.state.types import VIEW
from tests.sim.conftest import Call, make_episode, run_hand_made
from tests.sim.invariants import check_state

NEAR, FAR = 0, 1
LINK_S = 2.0
GPU = "hosts: [{count: 1, host: gpu2-512, nodes: 1, gpu: A100-80GB}]"
PAIR = (
    f"fleet={{clusters: [{{name: near, {GPU}}}, {{name: far, {GPU}}}], local_latency_s: 0, link_latency_s: {LINK_S}, "
    "link_bytes_per_s: 1.0e+30}",
    "models=[{name: there, architecture: Llama-3.1-8B, placement: {clusters: [far]}}, "
    "{name: here, architecture: Llama-3.1-8B, placement: {clusters: [near]}}]",
    "limits.api_s=0",
    "limits.growth_s=0",
    "limits.wait_max_s=1000",
)
THERE, HERE = 0, 1


@pytest.fixture(scope="module")
def pair() -> Scenario:
    """Two clusters two seconds apart, where each model is in one of them and everybody enters by the first."""
    return Scenario.load("toy", PAIR)


def outages(*rows: tuple[float, float]) -> np.ndarray:
    """Outages of the link: (begin, end)."""
    ends = [(at_s, -1, -1, fails, NEAR, FAR) for begin_s, end_s in rows for at_s, fails in ((begin_s, 1), (end_s, 0))]
    return np.array(sorted(ends), OUTAGE)


def one_call(*rows: tuple[float, float], model: int = THERE) -> Episode:
    """A call that arrives at one second."""
    return make_episode([(1.0, [Call(100, 200, model=model)])])._replace(outages=outages(*rows))


def times(scenario: Scenario, episode: Episode) -> tuple[float, float, float, float]:
    """When the call was sent, was there, was seen to begin, and was answered."""
    simulation = run_hand_made(scenario, episode)
    check_state(simulation.state)
    row = simulation.state.visible.stages[0, 0]
    return float(row["sent_s"]), float(row["queued_s"]), float(row["first_token_s"]), float(row["finished_s"])


def test_a_prompt_that_is_under_way_when_the_link_fails_is_there_after_the_repair_and_its_whole_way(
    pair: Scenario,
) -> None:
    sent_s, queued_s, first_s, finished_s = times(pair, one_call())
    assert (sent_s, queued_s) == (1.0, 3.0)
    assert times(pair, one_call((2.5, 10.0))) == pytest.approx((1.0, 12.0, first_s + 9.0, finished_s + 9.0))
    # At three seconds it is there, and what fails then meets nobody.
    assert times(pair, one_call((3.0, 3.01))) == pytest.approx((1.0, 3.0, first_s, finished_s))


def test_an_outage_that_meets_it_again_sends_it_anew_again(pair: Scenario) -> None:
    _, _, first_s, finished_s = times(pair, one_call())
    rows = ((2.5, 10.0), (11.0, 20.0), (15.0, 30.0))
    assert times(pair, one_call(*rows)) == pytest.approx((1.0, 32.0, first_s + 29.0, finished_s + 29.0))
    assert run_hand_made(pair, one_call(*rows)).state.core.counters[0]["resent"] == 1


def test_an_answer_waits_for_the_repair_and_takes_its_whole_way(pair: Scenario) -> None:
    _, _, first_s, finished_s = times(pair, one_call())
    done_s = finished_s - LINK_S  # its last token, at its node
    assert first_s < done_s - 0.5, "the first token is there before the link fails"
    for begin_s in (done_s - 0.5, done_s + 0.5):
        simulation = run_hand_made(pair, one_call((begin_s, done_s + 30.0)))
        row, counters = simulation.state.visible.stages[0, 0], simulation.state.core.counters[0]
        assert row["finished_s"] == pytest.approx(done_s + 30.0 + LINK_S)
        assert row["first_token_s"] == pytest.approx(first_s)
        assert (counters["resent"], counters["restarts"], counters["finished"]) == (1, 0, 1)


def test_a_first_token_is_seen_after_the_repair_and_nobody_knows_before_when(pair: Scenario) -> None:
    _, _, first_s, finished_s = times(pair, one_call())
    begin_s, back_s = first_s - LINK_S - 0.01, finished_s + 50.0
    looks_s = [back_s - 1.0, back_s + 1.0]
    calls = [(at_s, [Call(100, 10, model=HERE)]) for at_s in looks_s]
    episode = make_episode([(1.0, [Call(100, 200)]), *calls])._replace(outages=outages((begin_s, back_s)))
    simulation = Simulation(pair.world, evaluation=True)
    simulation.load(0, episode)
    engine, seen = open_engine(simulation, load_policy("fcfs", pair)), {}
    view = simulation.state.visible
    tier = run_until(engine, 0, 1 << TIER_GLOBAL)
    while tier != NO_TIER:
        seen[float(view.clock[0]["now_s"])] = float(view.stages[0, 0]["first_token_s"])
        tier = answer_and_run(engine, 0, OWN, 1 << TIER_GLOBAL, -math.inf)
    assert seen == {1.0: math.inf, looks_s[0]: math.inf, looks_s[1]: pytest.approx(back_s + LINK_S)}


def test_nothing_is_sent_over_a_link_that_is_down_and_all_else_goes_on(pair: Scenario) -> None:
    episode = make_episode([(1.0, [Call(100, 200, model=THERE)]), (1.0, [Call(100, 200, model=HERE)])])
    simulation = Simulation(pair.world, evaluation=True)
    simulation.load(0, episode._replace(outages=outages((0.5, 9.0))))
    engine, view = open_engine(simulation, load_policy("fcfs", pair)), simulation.state.visible
    boxed = box(view, VIEW)
    assert run_until(engine, 0, 1 << TIER_GLOBAL) == TIER_GLOBAL
    assert view.clock[0]["now_s"] == 1.0
    assert view.link_down[0].tolist() == [[0, 1], [1, 0]]
    assert [can_send(boxed, 0, THERE, cluster) for cluster in (NEAR, FAR)] == [False, False]
    assert [can_send(boxed, 0, HERE, cluster) for cluster in (NEAR, FAR)] == [True, False]
    assert not can_route(boxed, 0, THERE, 1)
    assert is_cut_off(boxed, 0, THERE)
    run_until(engine, 0, 0)
    assert view.stages[0]["sent_s"][:2].tolist() == [9.0, 1.0]
    assert view.link_down[0].sum() == 0
    assert not is_cut_off(boxed, 0, THERE)


def test_a_call_of_the_cluster_where_it_entered_needs_no_link(pair: Scenario) -> None:
    assert times(pair, one_call((0.0, 500.0), model=HERE)) == times(pair, one_call(model=HERE))


def test_kv_that_is_handed_over_within_a_cluster_needs_no_link() -> None:
    two = "hosts: [{count: 1, host: gpu2-512, nodes: 2, gpu: A100-80GB}]"
    fleet = f"fleet.clusters=[{{name: near, {GPU}}}, {{name: far, {two}}}]"
    pools = "fleet.disaggregation={prefill_nodes: 1, decode_nodes: 1}"
    only = "models=[{name: there, architecture: Llama-3.1-8B, placement: {clusters: [far]}}]"
    scenario = Scenario.load("toy", [*PAIR, fleet.replace(GPU, two), pools, only])
    _, queued_s, first_s, finished_s = times(scenario, one_call())
    handed_s = first_s - LINK_S
    down = times(scenario, one_call((handed_s - 0.01, finished_s - LINK_S - 0.01)))
    assert down == pytest.approx((1.0, queued_s, finished_s - 0.01, finished_s))


def test_a_link_is_up_for_mtbf_over_mtbf_plus_mttr() -> None:
    """As `test_failures` has it of nodes: A + (1 - A) (1 - exp(-T/tau)) tau/T, tau = 1/(1/MTBF + 1/MTTR)."""
    mtbf_s, mttr_s, horizon_s = 200.0, 50.0, 20_000.0
    laws = [f"fleet.failures.link_mtbf_s={mtbf_s}", f"fleet.failures.link_mttr_s={mttr_s}"]
    scenario = Scenario.load("quick", [*laws, f"horizon_s={horizon_s}", "drain_s=0", "workload.rate_rps=0.01"])
    up, tau_s = mtbf_s / (mtbf_s + mttr_s), 1.0 / (1.0 / mtbf_s + 1.0 / mttr_s)
    expected = up + (1.0 - up) * tau_s / horizon_s * (1.0 - math.exp(-horizon_s / tau_s))
    shares = []
    for key in range(640):
        rows = outages_of(scenario.config.fleet, scenario.world, NO_OUTAGES, key)
        assert (rows["host"] == -1).all()
        assert (np.diff(rows["time_s"]) >= 0.0).all()
        down_s = np.minimum(rows["time_s"], horizon_s) @ np.where(rows["fails"] == 1, -1.0, 1.0)
        shares.append(1.0 - down_s / horizon_s)
    # Standard error of 640 links: sqrt(2 / (MTBF MTTR (1/MTBF + 1/MTTR)^3 T) / 640) = 0.001.
    assert np.mean(shares) == pytest.approx(expected, abs=0.003)


FAILING = ("fleet.failures.link_mtbf_s=40", "fleet.failures.link_mttr_s=20", "horizon_s=120", "drain_s=2000")


@pytest.mark.parametrize(
    "policy",
    [
        "fcfs",
        "jsq",
        "power-of-two",
        "maestro",
        "searched",
        "llumnix+maestro",
        "qlm+maestro",
        "session-affinity",
    ],
)
def test_every_policy_serves_all_in_the_end_and_asks_for_nothing_that_is_cut_off(policy: str) -> None:
    scenario = Scenario.load("quick", [*FAILING, "contention=high"])
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("validation", 2, 0))
    run_until(open_engine(simulation, load_policy(policy, scenario)), 0, 0)
    check_state(simulation.state)
    counters = simulation.state.core.counters[0]
    assert counters["invalid_actions"] == 0
    assert counters["resent"] > 0
    assert counters["restarts"] == 0
    assert counters["finished"] == counters["arrived"] > 0


def test_planned_outages_are_named_by_the_two_clusters() -> None:
    rows = "[{link: [west, east], begin_s: 5, length_s: 10}]"
    episode = Scenario.load("quick", [f"fleet.failures.outages={rows}"]).episode("test", 0, 0)
    assert episode.outages.tolist() == [(5.0, -1, -1, 1, 1, 0), (15.0, -1, -1, 0, 1, 0)]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("[west, west]", "a link is between two"),
        ("[west]", "at least 2"),
        ("[west, eest]", r"outages.0: the fleet has no cluster `eest`. Did you mean `west`"),
    ],
)
def test_a_link_of_nothing_is_refused(link: str, words: str) -> None:
    with pytest.raises(MaestroError, match=words):
        Scenario(load_scenario("quick", [f"fleet.failures.outages=[{{link: {link}, begin_s: 5, length_s: 10}}]"]))
