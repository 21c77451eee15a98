"""To which node of its cluster a stage goes."""

from __future__ import annotations

import pytest

from maestro_gym.baselines.maestro.fitness import fitness_terms
from maestro_gym.state import DUTY_DECODE, DUTY_PREFILL, ENGINE_ASLEEP, ENGINE_LOADING, INTERACTIVE
from tests.baselines.hand import GB, Hand, ask, cluster_rule, global_rule


def _node(hand: Hand, name: str) -> int:
    return ask(cluster_rule(name), hand)


def _four_nodes() -> Hand:
    hand = Hand(nodes_per_cluster=4)
    hand.route(hand.stage())
    return hand


def test_jsq_counts_waiting_inbound_and_running_stages() -> None:
    hand = _four_nodes()
    hand.load(0, queued=1, running=3)
    hand.load(1, queued=3)
    hand.load(2, running=2)
    hand.load(3, queued=2, running=2)
    assert _node(hand, "jsq") == 2


def test_warm_jsq_prefers_running_and_loading_engines_to_short_queues() -> None:
    hand = _four_nodes()
    assert _node(hand, "warm-jsq") == 0
    hand.engine(1, 0, ENGINE_ASLEEP)
    hand.engine(2, 0)
    hand.engine(3, 0, ENGINE_LOADING)
    hand.load(2, queued=5)
    hand.load(3, queued=4)
    assert _node(hand, "warm-jsq") == 3


def test_least_kv_takes_the_emptiest_pool_cached_blocks_counted_free() -> None:
    hand = _four_nodes()
    for node, reserved_gb in enumerate((30.0, 20.0, 25.0, 40.0)):
        hand.load(node, reserved_gb=reserved_gb)
    assert _node(hand, "least-kv") == 1
    hand.view.nodes[0, 3].kv_cached_bytes = 30 * GB
    assert _node(hand, "least-kv") == 3


def _two_pools() -> tuple[Hand, int]:
    """Two nodes that prefill, two that decode, the model warm on all; and a call."""
    hand = Hand(nodes_per_cluster=4)
    hand.world.nodes["duty"] = DUTY_PREFILL, DUTY_PREFILL, DUTY_DECODE, DUTY_DECODE
    for node in range(4):
        hand.engine(node, 0)
    stage = hand.stage()
    hand.route(stage)
    return hand, stage


def test_distserve_counts_calls_to_prefill_and_kv_to_decode() -> None:
    hand, stage = _two_pools()
    hand.load(0, queued=2, reserved_gb=1.0)
    hand.load(1, queued=1, reserved_gb=30.0)
    hand.load(2, queued=1, reserved_gb=30.0)
    hand.load(3, queued=5, reserved_gb=20.0)
    assert _node(hand, "distserve") == 1
    hand.view.stages[0, stage].kv_tokens = 1000
    assert _node(hand, "distserve") == 3


def test_splitwise_takes_the_least_work_of_the_pool_that_is_asked() -> None:
    hand, stage = _two_pools()
    for node, work_s in enumerate((3.0, 2.0, 1.0, 0.5)):
        hand.load(node, work_s=work_s)
    assert _node(hand, "splitwise") == 1
    hand.view.stages[0, stage].kv_tokens = 1000
    assert _node(hand, "splitwise") == 3


def test_round_robin_passes_over_full_nodes_and_keeps_its_place_in_each_cluster() -> None:
    hand = Hand(num_clusters=2, nodes_per_cluster=3)
    stage = hand.stage()
    hand.load(1, queued=8)
    nodes = []
    for cluster in (0, 1, 0, 1, 0):
        hand.route(stage, cluster)
        nodes.append(_node(hand, "round-robin"))
    assert nodes == [0, 3, 2, 4, 0]


def test_power_of_two_never_takes_the_longest_queue_of_three() -> None:
    hand = Hand(nodes_per_cluster=3)
    hand.route(hand.stage())
    hand.load(1, queued=7)
    taken = set()
    for decision in range(60):
        hand.view.clock.decisions = decision
        taken.add(_node(hand, "power-of-two"))
    assert taken == {0, 2}


def test_random_reaches_every_node_that_has_room() -> None:
    hand = _four_nodes()
    hand.load(2, queued=8)
    taken = set()
    for decision in range(60):
        hand.view.clock.decisions = decision
        taken.add(_node(hand, "random"))
    assert taken == {0, 1, 3}


def test_session_affinity_returns_to_the_last_node_while_its_model_is_warm_there() -> None:
    hand = _four_nodes()
    hand.engine(1, 0)
    hand.engine(2, 0)
    hand.load(2, queued=5)
    hand.view.workflows[0, 0].last_node = 2
    assert _node(hand, "session-affinity") == 2
    hand.view.workflows[0, 0].last_node = 3
    assert _node(hand, "session-affinity") == 1


def test_pinned_models_share_no_home_while_nodes_suffice() -> None:
    hand = Hand(nodes_per_cluster=4, num_models=3)
    homes = []
    for model in range(3):
        hand.route(hand.stage(model=model))
        hand.load(model, queued=3, model=model)
        homes.append(_node(hand, "pinned"))
        hand.load(model)
    # Node 3 is spare and goes to model 1, at the middle of the popularity (3, 2, 1).
    assert homes == [0, 3, 2]


def test_pinned_models_are_dealt_in_a_snake_when_there_are_more_than_nodes() -> None:
    hand = Hand(nodes_per_cluster=2, num_models=5)
    homes = []
    for model in range(5):
        hand.route(hand.stage(model=model))
        homes.append(_node(hand, "pinned"))
    assert homes == [0, 1, 1, 0, 0]


def test_a_pinned_model_whose_home_is_full_spills_by_jsq() -> None:
    hand = Hand(nodes_per_cluster=2, num_models=2)
    hand.route(hand.stage(model=0))
    hand.load(0, queued=8)
    assert _node(hand, "pinned") == 1


def test_serverlessllm_weighs_a_queue_against_a_load() -> None:
    hand = Hand()
    hand.route(hand.stage())
    hand.engine(0, 0)
    hand.load(0, work_s=16.0 * 21.0)  # 21 s of queue; starting on node 1 takes 22 s
    assert _node(hand, "serverlessllm") == 0
    hand.load(0, work_s=16.0 * 23.0)
    assert _node(hand, "serverlessllm") == 1


def test_llumnix_takes_the_most_free_memory_a_request() -> None:
    hand = Hand()
    hand.route(hand.stage())
    hand.engine(0, 0)
    hand.engine(1, 0)
    hand.load(0, running=1, reserved_gb=30.0)  # 24 GB for one request
    hand.load(1, running=4, reserved_gb=10.0)  # 44 GB for four
    assert _node(hand, "llumnix") == 0


def test_maestro_takes_a_short_queue_over_a_cold_start_and_a_cold_start_over_a_very_long_queue() -> None:
    hand = Hand()
    hand.route(hand.stage())
    hand.engine(0, 0)
    hand.load(0, work_s=16.0 * 5.0)
    assert _node(hand, "maestro") == 0
    assert _node(hand, "maestro-raw") == 0
    hand.load(0, work_s=16.0 * 60.0)
    assert _node(hand, "maestro-raw") == 1
    assert _node(hand, "maestro") == 1


def test_maestro_wakes_a_sleeper_rather_than_starting_cold() -> None:
    hand = Hand()
    hand.route(hand.stage())
    hand.engine(1, 0, ENGINE_ASLEEP)
    assert _node(hand, "maestro") == 1


def test_maestro_goes_where_the_prefix_is() -> None:
    hand = Hand()
    stage = hand.stage(prompt=8000)
    hand.view.stages[0, stage].ctx_group = 5
    hand.view.stages[0, stage].ctx_prefix_tokens = 6400
    hand.engine(0, 0)
    slot = hand.engine(1, 0)
    hand.view.prefix_groups[0, 1, slot, 0] = 5
    hand.view.prefixes[0, 1, slot, 0].tokens = 6400
    hand.route(stage)
    for name in ("maestro", "maestro-raw", "llm-d", "dynamo"):
        assert _node(hand, name) == 1


def test_maestro_spares_a_node_where_room_must_be_made() -> None:
    hand = Hand(num_models=5)
    hand.route(hand.stage(model=4))
    for model in range(4):
        hand.engine(0, model, used_s=99.0)
    assert hand.view.nodes[0, 0].kv_pool_bytes == 0
    assert _node(hand, "maestro-raw") == 1
    assert fitness_terms(hand.view, 0, 0, 0)[2] > 0.0


def test_frozen_percentiles_keep_a_small_network_gap_small() -> None:
    # Two candidates: the far one is 20 ms away and warm, the near one cold. Normalised by the
    # candidates themselves, both gaps would weigh the same.
    hand = Hand(num_clusters=2, nodes_per_cluster=1)
    stage = hand.stage(cls=INTERACTIVE)
    hand.engine(1, 0)
    hand.ready(stage)
    action = ask(global_rule("fcfs/maestro"), hand)
    assert (action - 1) % 2 == 1


def test_interactive_stages_weigh_the_network_twice() -> None:
    hand = Hand(num_clusters=2, nodes_per_cluster=1)
    batch, interactive = hand.stage(cls=1), hand.stage(cls=0)
    assert fitness_terms(hand.view, 0, batch, 1)[0] == pytest.approx(-0.02)
    assert fitness_terms(hand.view, 0, interactive, 1)[0] == pytest.approx(-0.04)


def test_a_term_beyond_its_percentile_is_clipped_and_ties_fall_to_raw_time() -> None:
    hand = Hand()
    hand.route(hand.stage())
    hand.engine(0, 0)
    hand.engine(1, 0)
    hand.load(0, work_s=16.0 * 60.0)
    hand.load(1, work_s=16.0 * 50.0)
    assert _node(hand, "maestro") == 1


@pytest.mark.parametrize(
    "name", ["random", "jsq", "warm-jsq", "power-of-two", "least-kv", "session-affinity", "dynamo"]
)
def test_a_full_node_is_never_chosen(name: str) -> None:
    hand = Hand()
    hand.route(hand.stage())
    hand.engine(0, 0)
    hand.load(0, queued=8)
    assert _node(hand, name) == 1
