"""Nodes that only prefill and nodes that only decode: where a call goes, what travels, when it is done."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maestro_gym.baselines.registry import load_policy
from maestro_gym.config import load_scenario
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.outcome import outcome_of
from maestro_gym.episodes.metrics.row import metrics_of
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.tiers import TIER_CLUSTER
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import answer_and_run, open_engine, run_until
from maestro_gym.state import (
    DUTY_BOTH,
    DUTY_DECODE,
    DUTY_PREFILL,
    OUTAGE,
    STAGE_FINISHED,
    STAGE_HANDOFF,
)
from tests.sim.conftest import Call, make_episode, run_hand_made
from tests.sim.invariants import check_state

LINK_BYTES_PER_S = 1e9
HAND = (
    "limits.api_s=0.0",
    "fleet.local_latency_s=0.0",
    f"fleet.link_bytes_per_s={LINK_BYTES_PER_S}",
    "limits.growth_s=0.0",
    "limits.wait_max_s=1000",
)
POOLS = "fleet.disaggregation.prefill_nodes=1"
PREFILL, DECODE = 0, 1
"""The nodes of the toy fleet."""

KV_BYTES = 131_072
"""Of one token of Llama-3.1-8B, the toy's smallest model: 2 * 32 layers * 8 heads * 128 * 2 bytes."""


def pools(*overrides: str) -> Scenario:
    return Scenario.load("toy", (*HAND, POOLS, *overrides))


def lost(*rows: tuple[float, float, int]) -> np.ndarray:
    """Outages of nodes: (begin, end, node)."""
    ends = [
        (time_s, 0, node, fails, -1, -1)
        for begin_s, end_s, node in rows
        for time_s, fails in ((begin_s, 1), (end_s, 0))
    ]
    return np.array(sorted(ends), OUTAGE)


def long_call(at_s: float = 1.0, prompt: int = 1000, output: int = 200) -> tuple[float, list[Call]]:
    return at_s, [Call(prompt, output)]


def test_a_call_is_prefilled_at_one_node_and_its_kv_travels_to_another() -> None:
    episode = make_episode([long_call()])
    together = run_hand_made(Scenario.load("toy", HAND), episode).state.visible.stages[0, 0]
    simulation = run_hand_made(pools(), episode)
    row, counters = simulation.state.visible.stages[0, 0], simulation.state.core.counters[0]
    travel_s = 1000 * KV_BYTES / LINK_BYTES_PER_S
    assert row["first_token_s"] == together["first_token_s"]
    assert row["handed_over_s"] == row["first_token_s"]
    assert row["prefill_admitted_s"] == together["admitted_s"]
    assert row["queued_s"] - row["handed_over_s"] == pytest.approx(travel_s, abs=1e-12)
    assert row["finished_s"] == pytest.approx(together["finished_s"] + travel_s)
    assert row["node"] == DECODE
    assert counters["transfers"] == 1
    assert counters["transfer_bytes"] == 1000 * KV_BYTES
    assert counters["transfer_s"] == pytest.approx(travel_s, abs=1e-12)
    assert counters["prompt_tokens"] == 1000, "what was computed once is counted once"


def test_the_latency_of_the_link_comes_on_top() -> None:
    scenario = pools("fleet.local_latency_s=0.25")
    row = run_hand_made(scenario, make_episode([long_call()])).state.visible.stages[0, 0]
    # The first token reaches the controller a latency after it was there.
    assert row["handed_over_s"] == pytest.approx(row["first_token_s"] - 0.25)
    assert row["queued_s"] - row["handed_over_s"] == pytest.approx(0.25 + 1000 * KV_BYTES / LINK_BYTES_PER_S)


def test_the_kv_of_all_gpus_of_a_node_travels() -> None:
    scenario = pools("fleet.clusters.solo.hosts=[{count: 1, host: gpu4-1152, nodes: 2, gpu: A100-80GB, tp: 2}]")
    simulation = run_hand_made(scenario, make_episode([long_call()]))
    assert simulation.state.core.counters[0]["transfer_bytes"] == 1000 * KV_BYTES


def test_an_answer_of_one_token_goes_nowhere() -> None:
    simulation = run_hand_made(pools(), make_episode([long_call(output=1)]))
    row, counters = simulation.state.visible.stages[0, 0], simulation.state.core.counters[0]
    assert (row["node"], counters["transfers"], row["handed_over_s"]) == (PREFILL, 0, math.inf)
    assert row["phase"] == STAGE_FINISHED


def test_a_node_that_prefills_sets_aside_the_prompt_and_a_token_only() -> None:
    scenario = pools()
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, make_episode([long_call()]))
    engine = open_engine(simulation, load_policy("static-max", scenario))
    assert run_until(engine, 0, 1 << TIER_CLUSTER) == TIER_CLUSTER
    # To the node that prefills; the cluster is asked again when the first token is there.
    assert answer_and_run(engine, 0, PREFILL, 1 << TIER_CLUSTER, -math.inf) == TIER_CLUSTER
    view = simulation.state.visible
    assert view.clock[0]["now_s"] == view.stages[0, 0]["handed_over_s"]
    assert view.nodes[0, PREFILL]["kv_reserved_bytes"] == 0.0
    assert view.stages[0, 0]["phase"] == STAGE_HANDOFF
    assert simulation.state.core.counters[0]["kv_reserved_peak_bytes"] == 1008 * KV_BYTES
    answer_and_run(engine, 0, DECODE, 0, -math.inf)
    assert simulation.state.core.counters[0]["kv_reserved_peak_bytes"] == 1520 * KV_BYTES  # of a limit of 512
    assert simulation.state.core.counters[0]["invalid_actions"] == 0


def test_neither_pool_is_sent_what_is_due_in_the_other() -> None:
    scenario = pools()
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, make_episode([long_call()]))
    engine = open_engine(simulation, load_policy("fcfs", scenario))
    run_until(engine, 0, 1 << TIER_CLUSTER)
    answer_and_run(engine, 0, DECODE, 1 << TIER_CLUSTER, -math.inf)
    assert simulation.state.core.counters[0]["invalid_actions"] == 1
    answer_and_run(engine, 0, PREFILL, 0, -math.inf)
    assert simulation.state.core.counters[0]["invalid_actions"] == 2
    assert simulation.state.visible.workflows[0, 0]["finished_s"] < math.inf


def test_what_was_prefilled_waits_for_a_place_where_it_can_be_decoded() -> None:
    """One place in the queue and one in the batch: the third waits until the first is done."""
    scenario = pools("limits.node_queue_limit=1", "limits.max_num_seqs=1")
    simulation = run_hand_made(scenario, make_episode([long_call(), long_call(), long_call()]))
    rows = simulation.state.visible.stages[0, :3]
    order = np.argsort(rows["handed_over_s"])
    first, second, third = (rows[i] for i in order)
    travel_s = 1000 * KV_BYTES / LINK_BYTES_PER_S
    assert second["admitted_s"] == pytest.approx(first["finished_s"])
    # It sets out when the second has left the queue.
    assert third["queued_s"] == pytest.approx(second["admitted_s"] + travel_s)
    assert simulation.state.core.counters[0]["invalid_actions"] == 0


def test_nodes_between_the_pools_do_both() -> None:
    scenario = Scenario.load("quick", ["fleet.disaggregation={prefill_nodes: 1, decode_nodes: 2}"])
    one = [DUTY_PREFILL, DUTY_BOTH, DUTY_DECODE, DUTY_DECODE]
    assert scenario.world.nodes["duty"].tolist() == 2 * one


def test_a_prompt_stays_as_a_prefix_where_it_was_computed() -> None:
    episode = make_episode([(1.0, [Call(1600, 33, ctx=(7, 0)), Call(1700, 5, parents=[0], ctx=(7, 1632))])])
    rows = run_hand_made(pools(), episode).state.visible.stages[0]
    # The second call finds the prompt of the first at the node that prefilled it, and not its answer.
    counters = run_hand_made(pools(), episode).state.core.counters[0]
    assert counters["cached_tokens"] == 1600
    # Where it decodes, it shares the blocks that the first left there.
    assert rows["prefix_hit_tokens"][1] == 1632


def test_a_call_whose_decoding_node_is_lost_begins_from_nothing() -> None:
    scenario = pools()
    clean = run_hand_made(scenario, make_episode([long_call()])).state.visible.stages[0, 0]
    whole_s = float(clean["finished_s"]) - 1.0
    lost_s = float(clean["admitted_s"]) + 1e-6
    episode = make_episode([long_call()])._replace(outages=lost((lost_s, lost_s + 0.1, DECODE)))
    simulation = run_hand_made(scenario, episode)
    row, counters = simulation.state.visible.stages[0, 0], simulation.state.core.counters[0]
    assert (counters["restarts"], counters["transfers"]) == (1, 2)
    assert counters["wasted_tokens"] == 1000
    assert row["first_token_s"] > lost_s
    assert row["finished_s"] > lost_s + whole_s


def test_kv_on_its_way_to_a_node_that_is_lost_is_computed_again_and_the_first_token_stands() -> None:
    scenario = pools("fleet.link_bytes_per_s=1e8")
    clean = run_hand_made(scenario, make_episode([long_call()])).state.visible.stages[0, 0]
    first_s = float(clean["first_token_s"])
    episode = make_episode([long_call()])._replace(outages=lost((first_s + 0.5, first_s + 100.0, DECODE)))
    simulation = run_hand_made(scenario, episode)
    row, counters = simulation.state.visible.stages[0, 0], simulation.state.core.counters[0]
    assert (counters["restarts"], counters["transfers"]) == (0, 2)
    assert row["first_token_s"] == first_s
    assert counters["transfer_bytes"] == (1000 + 1001) * KV_BYTES
    assert row["generated_tokens"] == 200


def test_what_a_lost_node_had_prefilled_and_kept_begins_from_nothing() -> None:
    scenario = pools("limits.node_queue_limit=1", "limits.max_num_seqs=1")
    calls = [long_call(), long_call(), long_call()]
    clean = run_hand_made(scenario, make_episode(calls)).state.visible.stages[0, :3]
    last = int(np.argmax(clean["handed_over_s"]))
    lost_s = float(clean["handed_over_s"][last]) + 0.3
    assert lost_s < clean["queued_s"][last] - 0.2, "it still waits there"
    simulation = run_hand_made(scenario, make_episode(calls)._replace(outages=lost((lost_s, lost_s + 1.0, PREFILL))))
    rows, counters = simulation.state.visible.stages[0, :3], simulation.state.core.counters[0]
    assert (counters["restarts"], counters["wasted_tokens"]) == (1, 1000)
    assert rows["restarts"][last] == 1
    assert rows["handed_over_s"][last] > lost_s
    assert np.all(rows["phase"] == STAGE_FINISHED)


@pytest.mark.parametrize("memory", ["elastic", "partitioned"])
@pytest.mark.parametrize("policy", ["fcfs", "maestro", "searched", "no-colocation", "distserve+maestro"])
def test_all_calls_are_done_under_any_policy(policy: str, memory: str) -> None:
    overrides = (f"limits.memory_mode={memory}", "limits.partitions=2", "horizon_s=60", "drain_s=6000")
    scenario = Scenario.load("pools", overrides)
    simulation = Simulation(scenario.world, evaluation=True)
    simulation.load(0, scenario.episode("validation", 2, 0))
    run_until(open_engine(simulation, load_policy(policy, scenario)), 0, 0)
    check_state(simulation.state)
    counters = simulation.state.core.counters[0]
    assert counters["transfers"] > 0
    assert counters["invalid_actions"] == 0
    assert counters["finished"] == counters["arrived"]


def test_models_run_in_both_pools_when_an_episode_begins() -> None:
    scenario = Scenario.load("pools")
    simulation = Simulation(scenario.world, evaluation=True)
    nodes = scenario.world.nodes
    for cluster in (0, 1):
        for duty in (DUTY_PREFILL, DUTY_DECODE):
            pool = (nodes["cluster"] == cluster) & (nodes["duty"] == duty)
            assert simulation._placement[pool].any(0).all()


def test_metrics_tell_what_travelled() -> None:
    scenario = pools("horizon_s=30")
    result = run_episode(scenario, load_policy("fcfs", scenario), "test", 0)
    row = metrics_of(outcome_of(result))
    handed = np.isfinite(result.stages["handed_over_s"]) & (result.stages["phase"] != STAGE_HANDOFF)
    assert row["transfers"] == handed.sum() > 0
    per_s = row["transfer_bytes"] / LINK_BYTES_PER_S / row["transfers"]
    assert row["transfer_mean_s"] == pytest.approx(per_s)
    assert row["handoff_mean_s"] >= row["transfer_mean_s"]
    together = Scenario.load("toy", (*HAND, "horizon_s=30"))
    nothing = metrics_of(outcome_of(run_episode(together, load_policy("fcfs", together), "test", 0)))
    assert np.isnan(nothing["handoff_mean_s"])
    assert nothing["transfers"] == 0


@pytest.mark.parametrize(
    "asked", ["{prefill_nodes: 2}", "{prefill_nodes: 3}", "{prefill_nodes: 1, decode_nodes: 2}"], ids=str
)
def test_pools_that_leave_nobody_for_the_rest_are_refused(asked: str) -> None:
    with pytest.raises(MaestroError, match=r"cluster solo has 2 nodes; .* leave none for the rest of a call"):
        load_scenario("toy", [f"fleet.disaggregation={asked}"])


def test_a_model_that_may_be_in_one_pool_only_is_refused() -> None:
    hosts = [f"{{count: 1, host: gpu2-512, nodes: 1, gpu: {gpu}}}" for gpu in ("H100-80GB", "A100-80GB")]
    fleet = [f"fleet.clusters.solo.hosts=[{', '.join(hosts)}]", POOLS]
    with pytest.raises(MaestroError, match=r"`small` may be on no node that prefills beside one that decodes"):
        load_scenario("toy", [*fleet, "models.small.placement={kinds: [H100-80GB]}"])


def test_the_smaller_pool_bounds_the_context() -> None:
    hosts = [f"{{count: 1, host: gpu2-512, nodes: 1, gpu: {gpu}}}" for gpu in ("A10G-24GB", "A100-80GB")]
    fleet = [f"fleet.clusters.solo.hosts=[{', '.join(hosts)}]", "models=[{name: one, architecture: Llama-3.1-8B}]"]
    together, apart = (load_scenario("toy", [*fleet, *more]) for more in ([], [POOLS]))
    one = together.models[0]
    assert together.max_model_len(one) == 131_072
    assert apart.max_model_len(one) == apart.kv_room_tokens(one, apart.host_groups[0]) // 16 * 16 < 131_072


def test_without_pools_every_node_does_both(toy: Scenario) -> None:
    assert np.all(toy.world.nodes["duty"] == DUTY_BOTH)
