"""Published routings, each on an instance whose answer its formula gives."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.baselines.cluster.least_busy_time import MOST_NODES
from maestro_gym.baselines.cluster.qlm_queues import SWAP_WEIGHT
from maestro_gym.baselines.registry import ROUTINGS
from maestro_gym.state import DISK, ENGINE_ASLEEP, ENGINE_LOADING
from tests.baselines.hand import NOW_S, Hand, ask, cluster_rule

RIVALS = [
    "agentix-router",
    "goodserve",
    "kairos-dispatch",
    "least-busy-time",
    "least-latency",
    "least-request",
    "prefix-cache",
    "prefix-cache-preble",
    "saga-affinity",
    "throughput",
    "torpor",
]


def _node(hand: Hand, name: str) -> int:
    """Where a rule sends the stage, its numbers at their defaults."""
    hand.given(ROUTINGS[name])
    return ask(cluster_rule(name), hand)


def _warm_nodes(count: int) -> Hand:
    """Model 0 runs on every node, and a stage of it is to be placed."""
    hand = Hand(nodes_per_cluster=count)
    hand.route(hand.stage(prompt=2000))
    for node in range(count):
        hand.engine(node, 0)
    return hand


def _run(hand: Hand, node: int, model: int, count: int) -> None:
    """Let the engine of a model run a number of stages."""
    slot = int(hand.view.slot_of[0, node, model])
    hand.view.engines[0, node, slot].running = count
    hand.view.nodes[0, node].running = hand.view.engines[0, node].running.sum()


def _cache(hand: Hand, node: int, tokens: int, model: int = 0) -> None:
    """Let the engine of a model hold a part of the context of stage 0."""
    hand.view.stages[0, 0].ctx_group = 5
    hand.view.stages[0, 0].ctx_prefix_tokens = 1920
    slot = int(hand.view.slot_of[0, node, model])
    hand.view.prefix_groups[0, node, slot, 0] = 5
    hand.view.prefixes[0, node, slot, 0].tokens = tokens


def test_least_request_counts_the_requests_of_its_own_model_only() -> None:
    hand = _warm_nodes(2)
    hand.engine(0, 1)
    _run(hand, 0, 0, 1)
    _run(hand, 0, 1, 6)
    _run(hand, 1, 0, 2)
    assert _node(hand, "least-request") == 0
    assert _node(hand, "warm-jsq") == 1
    hand.load(0, queued=2, running=7)
    assert _node(hand, "least-request") == 1


@pytest.mark.parametrize(
    ("requests", "hits", "chosen"),
    [
        # Mean 2, deviation 1.4: the holder of more has no more than both together.
        ((3, 3, 0), (960, 1920, 0), 1),
        # Of equal matches the one with fewer requests.
        ((2, 1, 2), (960, 960, 0), 1),
        # Mean 2.7, deviation 3.1: the holder of most is beyond 5.7, the next holder is not.
        ((1, 7, 0), (960, 1920, 0), 0),
        # No holder is idle enough: the fewest requests.
        ((1, 7, 0), (0, 1920, 0), 2),
        # 12 > 2 (4.3 + 1) and 12 - 0 >= 8: only the idlest may match, and it holds nothing.
        ((1, 12, 0), (960, 1920, 0), 2),
        # The same, and the idlest holds a little.
        ((1, 12, 0), (960, 1920, 480), 2),
        # Nobody holds anything.
        ((2, 1, 3), (0, 0, 0), 1),
    ],
)
def test_prefix_cache_follows_the_longest_match_that_is_not_much_busier_than_the_rest(
    requests: tuple[int, ...], hits: tuple[int, ...], chosen: int
) -> None:
    hand = _warm_nodes(3)
    for node in range(3):
        _run(hand, node, 0, requests[node])
        _cache(hand, node, hits[node])
    assert _node(hand, "prefix-cache") == chosen


def _admit(hand: Hand, node: int, *stages: int, admitted_s: float = NOW_S - 10.0) -> None:
    """Let the engine of the stages' model run them; their first tokens came a second after their admission."""
    model = int(hand.view.stages[0, stages[0]].model)
    slot = int(hand.view.slot_of[0, node, model])
    hand.view.batch[0, node, slot, : len(stages)] = stages
    for stage in stages:
        row = hand.view.stages[0, stage]
        row.admitted_s, row.first_token_s, row.queued_s = admitted_s, admitted_s + 1.0, admitted_s - 1.0
    _run(hand, node, model, len(stages))


def test_throughput_weighs_a_prompt_token_twice_and_takes_the_engine_that_works_off_least() -> None:
    hand = _warm_nodes(2)
    prefills, decodes = hand.stage(prompt=3000), hand.stage(prompt=1000)
    _admit(hand, 0, prefills)
    _admit(hand, 1, decodes)
    hand.view.stages[0, decodes].generated_tokens = 3900  # (2 * 1000 + 3900) / 10 s against 2 * 3000 / 10 s
    assert _node(hand, "throughput") == 1
    hand.view.stages[0, decodes].generated_tokens = 4100
    assert _node(hand, "throughput") == 0


def test_a_rate_is_taken_over_the_time_since_admission() -> None:
    hand = _warm_nodes(2)
    _admit(hand, 0, hand.stage(prompt=3000), admitted_s=NOW_S - 30.0)  # 200 a second
    _admit(hand, 1, hand.stage(prompt=2000), admitted_s=NOW_S - 10.0)  # 400 a second
    assert _node(hand, "throughput") == 0


def test_least_latency_adds_the_queue_the_prefill_and_the_decode_of_an_engine() -> None:
    hand = _warm_nodes(2)
    hand.world.step_s[:] = 0.01  # 100 tokens: 1 s on either node
    slow, fast = hand.stage(prompt=1000), hand.stage(prompt=1000)
    _admit(hand, 0, slow)  # 1 s of queue, 1 ms a prompt token: 2 s for the prompt of 2000
    _admit(hand, 1, fast)
    hand.view.stages[0, fast].queued_s -= 1.5  # 2.5 s of queue
    assert _node(hand, "least-latency") == 0
    hand.view.stages[0, slow].first_token_s += 1.0  # 2 ms a prompt token: 4 s
    assert _node(hand, "least-latency") == 1


def test_least_latency_counts_what_a_fuller_batch_does_to_the_decode() -> None:
    hand = _warm_nodes(2)
    hand.world.step_s[0, 0, :] = np.arange(64) * 0.01
    for node, count in ((0, 2), (1, 1)):
        _admit(hand, node, *(hand.stage(prompt=1000) for _ in range(count)))
    assert _node(hand, "least-latency") == 1


def test_qlm_counts_the_output_tokens_ahead_and_the_swaps_ahead() -> None:
    hand = _warm_nodes(2)
    # 10 ms a token and 16 sequences at once: 1600 tokens are 1 s.
    hand.queue(0, hand.stage(output=3200.0))
    hand.queue(1, hand.stage(output=1600.0), hand.stage(output=800.0))
    hand.route(0)
    assert _node(hand, "qlm-queues") == 1
    # What runs counts by what is left of it: 200 of 1200 tokens after 10 s, an eighth of a second.
    _admit(hand, 1, hand.stage(output=1200.0))
    hand.route(0)
    assert _node(hand, "qlm-queues") == 1
    _admit(hand, 1, hand.stage(output=1900.0))  # 0.56 s: 2.06 s in all
    assert _node(hand, "qlm-queues") == 0
    _run(hand, 1, 0, 0)
    # A model that waits there must be started first: 22 s, against 2 s of tokens.
    hand.queue(1, hand.stage(model=1, output=1.0))
    hand.route(0)
    assert _node(hand, "qlm-queues") == 0


def test_qlm_takes_a_cold_node_when_the_queue_outlasts_the_start() -> None:
    hand = Hand()
    stage = hand.stage()
    hand.engine(0, 0)
    hand.queue(0, hand.stage(output=1600.0 * 21.0))
    hand.route(stage)
    assert _node(hand, "qlm-queues") == 0
    hand.queue(0, hand.stage(output=1600.0 * 23.0))
    hand.route(stage)
    assert _node(hand, "qlm-queues") == 1


def test_without_swap_costs_qlm_counts_tokens_alone() -> None:
    hand = Hand()
    stage = hand.stage()
    hand.engine(0, 0)
    hand.queue(0, hand.stage(output=1600.0))
    hand.route(stage)
    assert _node(hand, "qlm-queues") == 0
    hand.view.numbers[0, SWAP_WEIGHT] = 0.0
    assert ask(cluster_rule("qlm-queues"), hand) == 1


def test_kairos_sends_where_the_peak_of_predicted_kv_stays_lowest() -> None:
    hand = _warm_nodes(2)
    hand.view.stages[0, 0].output_q50_tokens = 1000.0
    # Larger now and gone in 1 s (0.1 s of decode left), against smaller and there for 100 s more.
    ends, stays = hand.stage(prompt=3000, output=1000.0), hand.stage(prompt=2500, output=10_000.0)
    _admit(hand, 0, ends, admitted_s=NOW_S - 10.2)
    _admit(hand, 1, stays, admitted_s=NOW_S - 10.2)
    assert int(hand.view.stages[0, ends].prompt_tokens) > int(hand.view.stages[0, stays].prompt_tokens)
    assert _node(hand, "kairos-dispatch") == 0
    hand.view.stages[0, ends].output_q50_tokens = 10_000.0
    assert _node(hand, "kairos-dispatch") == 1


def test_torpor_goes_by_residency_first_and_then_by_stages_and_loads() -> None:
    hand = Hand(nodes_per_cluster=4)
    hand.route(hand.stage())
    hand.view.host_models[0, 0, 0].tier = DISK
    assert _node(hand, "torpor") == 1  # CPU before disk
    hand.engine(3, 0, ENGINE_ASLEEP)
    assert _node(hand, "torpor") == 3
    hand.engine(2, 0)
    hand.load(2, running=6)
    assert _node(hand, "torpor") == 2
    hand.engine(1, 0)
    hand.load(1, running=5)
    assert _node(hand, "torpor") == 1
    hand.engine(1, 1, ENGINE_LOADING)
    hand.engine(1, 2, ENGINE_LOADING)
    assert _node(hand, "torpor") == 2


def test_preble_follows_a_match_of_more_than_half_and_spreads_work_otherwise() -> None:
    hand = _warm_nodes(3)  # a prompt of 2000 tokens
    hand.world.step_s[:] = 0.01  # a chunk of 63 tokens, or a token of every sequence: 10 ms
    for node, count in enumerate((2, 1, 3)):
        _admit(hand, node, *(hand.stage(prompt=630) for _ in range(count)))
    _cache(hand, 0, 1008)
    _cache(hand, 2, 1008)
    assert _node(hand, "prefix-cache-preble") == 0  # both hold more than half, node 0 has fewer requests
    _cache(hand, 2, 1200)
    assert _node(hand, "prefix-cache-preble") == 2  # the longer match
    _cache(hand, 0, 992)
    _cache(hand, 2, 992)
    assert _node(hand, "prefix-cache-preble") == 1  # less than half: one request's work against two and three


def test_preble_counts_the_prefill_that_no_cache_served_and_45_tokens_a_request() -> None:
    hand = _warm_nodes(2)
    hand.world.step_s[:] = 0.01
    one, two = hand.stage(prompt=63 * 90), hand.stage(prompt=63)
    _admit(hand, 0, one)  # 0.9 s of prefill and 0.45 s of decode
    _admit(hand, 1, two, hand.stage(prompt=63))  # 2 (0.01 + 0.45) s
    assert _node(hand, "prefix-cache-preble") == 1
    hand.view.stages[0, one].prefix_hit_tokens = 63 * 60  # 0.3 + 0.45 s
    assert _node(hand, "prefix-cache-preble") == 0


def _loaded(hand: Hand, *running: int) -> None:
    """Stages that the nodes run."""
    for node, count in enumerate(running):
        hand.load(node, running=count)


def test_saga_stays_with_the_sessions_kv_until_another_node_has_more_than_eight_stages_fewer() -> None:
    hand = _warm_nodes(3)
    hand.view.workflows[0, 0].last_node = 2
    _loaded(hand, 1, 4, 9)
    assert _node(hand, "saga-affinity") == 2
    _loaded(hand, 0, 4, 9)
    assert _node(hand, "saga-affinity") == 0
    assert _node(hand, "session-affinity") == 2
    hand.view.workflows[0, 0].last_node = -1
    _loaded(hand, 3, 2, 9)
    assert _node(hand, "saga-affinity") == 1


@pytest.mark.parametrize(("prompt", "chosen"), [(2049, 1), (2048, 0)])
def test_agentix_sends_long_calls_to_their_programs_engine_and_balances_short_ones(prompt: int, chosen: int) -> None:
    hand = _warm_nodes(2)
    hand.view.stages[0, 0].prompt_tokens = prompt
    hand.view.workflows[0, 0].last_node = 1
    _loaded(hand, 1, 5)
    assert _node(hand, "agentix-router") == chosen


@pytest.mark.parametrize(
    ("due_s", "future_s", "chosen"),
    [
        (10.0, 0.0, 0),  # both make it: the slow one
        (1.5, 0.0, 1),  # 2 s are too long, 0.5 s are not
        (10.0, 8.5, 1),  # the same, for 8.5 s must remain for later stages
        (0.3, 0.0, 1),  # nobody makes it: the fast one
    ],
)
def test_goodserve_takes_the_slowest_gpu_that_still_makes_the_deadline(
    due_s: float, future_s: float, chosen: int
) -> None:
    hand = Hand(num_kinds=2)
    hand.world.step_s[0], hand.world.step_s[1] = 0.02, 0.005  # 100 tokens: 2 s and 0.5 s
    stage = hand.stage(prompt=1, output=100.0, deadline_s=NOW_S + due_s)
    hand.view.stages[0, stage].future_s_q50 = future_s
    hand.route(stage)
    for node in range(2):
        hand.engine(node, 0)
    assert _node(hand, "goodserve") == chosen


def test_goodserve_counts_the_queue_and_the_company_of_a_node() -> None:
    hand = Hand(num_kinds=2)
    hand.world.step_s[0], hand.world.step_s[1] = 0.02, 0.005  # 2 s and 0.5 s
    hand.route(hand.stage(prompt=1, output=100.0, deadline_s=NOW_S + 3.5))
    for node in range(2):
        hand.engine(node, 0)
    hand.load(0, work_s=16.0 * 1.0)  # 3 s on node 0
    assert _node(hand, "goodserve") == 0
    hand.load(0, work_s=16.0 * 2.0)  # 4 s
    assert _node(hand, "goodserve") == 1
    hand.load(0)
    assert _node(hand, "goodserve") == 0
    hand.engine(0, 1, running=3)  # shares the GPU: 4 s
    assert _node(hand, "goodserve") == 1


def test_goodserve_takes_the_least_latency_among_gpus_of_a_kind() -> None:
    hand = Hand(nodes_per_cluster=4, num_kinds=2)
    hand.world.step_s[0], hand.world.step_s[1] = 0.02, 0.005
    hand.route(hand.stage(prompt=1, output=100.0, deadline_s=NOW_S + 10.0))
    for node in range(4):
        hand.engine(node, 0)
    hand.load(0, work_s=16.0 * 0.5)
    assert _node(hand, "goodserve") == 2
    hand.load(2, work_s=16.0 * 1.0)
    assert _node(hand, "goodserve") == 0


def test_least_busy_time_remembers_who_was_busy() -> None:
    hand = _warm_nodes(2)
    hand.given(ROUTINGS["least-busy-time"])
    rule = cluster_rule("least-busy-time")
    _loaded(hand, 1, 0)
    assert ask(rule, hand) == 1
    # Both are idle now, but node 0 was busy for the first 100 s of the window of 30 s.
    _loaded(hand, 0, 0)
    hand.view.clock.now_s = NOW_S + 10.0
    assert ask(rule, hand) == 1
    assert 0.0 < hand.view.memory[0, 1] < 1.0
    # Node 1 is busy for a window, and node 0 has been idle.
    _loaded(hand, 0, 4)
    hand.view.clock.now_s = NOW_S + 60.0
    assert ask(rule, hand) == 0


def test_least_busy_time_knows_of_nodes_without_a_note_whether_they_are_busy_now() -> None:
    hand = Hand(nodes_per_cluster=MOST_NODES + 2)
    hand.given(ROUTINGS["least-busy-time"])
    hand.route(hand.stage())
    for node in range(MOST_NODES - 1, MOST_NODES + 2):
        hand.engine(node, 0)
    _loaded(hand, *[1] * (MOST_NODES + 1))
    assert ask(cluster_rule("least-busy-time"), hand) == MOST_NODES + 1


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_takes_a_warm_node_before_a_cold_one_and_no_full_one(name: str) -> None:
    hand = Hand()
    hand.route(hand.stage())
    hand.engine(1, 0)
    _admit(hand, 1, hand.stage())
    assert _node(hand, name) == 1
    hand.view.nodes[0, 1].inbound = 8
    assert _node(hand, name) == 0
