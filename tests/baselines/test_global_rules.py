"""Which stage leaves the global queue first, and for which cluster."""

from __future__ import annotations

import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.state import BATCH, INTERACTIVE
from tests.baselines.hand import NOW_S, STAGES, Hand, ask, global_rule, make_oracle


def _sent(hand: Hand, name: str) -> tuple[int, int]:
    """Stage and cluster that a rule sends, (-1, -1) for a wait; of its notes only the turn is kept."""
    hand.view.model_memory[:] = 0.0
    action = ask(global_rule(name), hand)
    clusters = hand.world.latency_s.shape[0]
    return ((action - 1) // clusters, (action - 1) % clusters) if action else (-1, -1)


def _three_stages() -> Hand:
    """Stage 0 came first, 1 is due first, 2 is shortest now, 3 leaves the least work after it."""
    hand = Hand()
    hand.ready(
        hand.stage(ready_s=90.0, deadline_s=400.0, output=500, remaining_s=50.0),
        hand.stage(ready_s=91.0, deadline_s=200.0, output=400, remaining_s=40.0),
        hand.stage(ready_s=92.0, deadline_s=300.0, output=100, remaining_s=30.0),
        hand.stage(ready_s=93.0, deadline_s=350.0, output=200, remaining_s=2.0),
    )
    return hand


@pytest.mark.parametrize(("order", "stage"), [("fcfs", 0), ("edf", 1), ("sjf", 2), ("srtf", 3)])
def test_each_order_sends_the_stage_it_is_named_for(order: str, stage: int) -> None:
    assert _sent(_three_stages(), f"{order}/jsq")[0] == stage


def test_workflow_fcfs_follows_the_arrival_of_the_workflow_not_of_the_stage() -> None:
    hand = _three_stages()
    hand.view.workflows[0, 2].arrival_s = 1.0
    assert _sent(hand, "workflow-fcfs/jsq")[0] == 2


def test_las_sends_the_workflow_that_was_served_least() -> None:
    hand = _three_stages()
    hand.view.workflows["attained_s"][0, :4] = [3.0, 2.0, 5.0, 2.5]
    assert _sent(hand, "las/jsq")[0] == 1


def test_oracle_srtf_follows_the_truth_against_the_prediction() -> None:
    hand = _three_stages()
    hand.oracle = make_oracle(STAGES)
    hand.oracle.truth["remaining_s"][0, :4] = [4.0, 1.0, 9.0, 8.0]
    assert _sent(hand, "oracle-srtf/jsq")[0] == 1


def test_maestro_serves_interactive_before_shorter_batch_work() -> None:
    hand = Hand()
    hand.ready(hand.stage(cls=BATCH, remaining_s=1.0), hand.stage(cls=INTERACTIVE, remaining_s=60.0))
    assert _sent(hand, "maestro/maestro")[0] == 1
    assert _sent(hand, "srtf/jsq")[0] == 0


def test_maestro_ages_a_long_stage_past_a_short_newcomer() -> None:
    hand = Hand()
    hand.ready(hand.stage(ready_s=NOW_S - 40.0, remaining_s=35.0), hand.stage(ready_s=NOW_S, remaining_s=5.0))
    assert _sent(hand, "maestro/maestro")[0] == 0
    assert _sent(hand, "srtf/jsq")[0] == 1


def test_maestro_passes_over_a_running_workflow_at_its_boundary() -> None:
    hand = Hand()
    hand.ready(hand.stage(remaining_s=50.0, stages_done=2), hand.stage(remaining_s=5.0))
    assert _sent(hand, "maestro/maestro")[0] == 1
    assert _sent(hand, "maestro-no-preemption/maestro")[0] == 0


def test_maestro_spares_a_workflow_at_the_boundary_after_it_was_passed_over() -> None:
    hand = Hand()
    hand.ready(hand.stage(ready_s=99.0, remaining_s=50.0, stages_done=2), hand.stage(ready_s=99.0, remaining_s=5.0))
    hand.view.workflows[0, 0].last_preempted_s = 96.0
    assert _sent(hand, "maestro/maestro")[0] == 0
    hand.view.workflows[0, 0].last_preempted_s = 90.0  # the cooldown of 5 s is over
    assert _sent(hand, "maestro/maestro")[0] == 1
    hand.view.workflows[0, 0].last_preempted_s = 99.5  # this very stage was passed over: it competes
    assert _sent(hand, "maestro/maestro")[0] == 1


def test_class_fcfs_reads_no_prediction() -> None:
    hand = Hand()
    hand.ready(
        hand.stage(cls=BATCH, ready_s=90.0),
        hand.stage(cls=INTERACTIVE, ready_s=95.0, remaining_s=90.0),
        hand.stage(cls=INTERACTIVE, ready_s=96.0, remaining_s=1.0),
    )
    assert _sent(hand, "class-fcfs/jsq")[0] == 1


def test_a_stage_that_no_node_can_take_does_not_hold_up_the_queue() -> None:
    hand = Hand()
    hand.ready(hand.stage(prompt=30_000_000), hand.stage())
    assert _sent(hand, "fcfs/jsq")[0] == 1


def test_a_rule_waits_when_nothing_can_be_sent() -> None:
    hand = Hand()
    hand.ready(hand.stage(prompt=30_000_000))
    for name in ("fcfs/jsq", "maestro/maestro", "fcfs/round-robin"):
        assert _sent(hand, name) == (-1, -1)


def test_placement_follows_the_best_node_of_the_fleet() -> None:
    hand = Hand(num_clusters=2)
    hand.ready(hand.stage())
    hand.load(0, queued=2)
    hand.load(1, queued=3)
    hand.load(2, queued=1)
    hand.load(3, queued=5)
    assert _sent(hand, "fcfs/jsq")[1] == 1
    hand.engine(1, 0)
    assert _sent(hand, "fcfs/warm-jsq")[1] == 0


def test_maestro_keeps_a_stage_in_its_own_cluster_until_the_queue_outweighs_the_network() -> None:
    hand = Hand(num_clusters=2, nodes_per_cluster=1)
    hand.ready(hand.stage())
    hand.engine(0, 0)
    hand.engine(1, 0)
    assert _sent(hand, "fcfs/maestro")[1] == 0
    hand.load(0, work_s=160.0)  # ten seconds at the nominal batch of 16
    assert _sent(hand, "fcfs/maestro")[1] == 1


def test_round_robin_gives_the_clusters_turns() -> None:
    hand = Hand(num_clusters=3, nodes_per_cluster=1)
    hand.ready(hand.stage())
    assert [_sent(hand, "fcfs/round-robin")[1] for _ in range(4)] == [0, 1, 2, 0]


def test_random_changes_with_the_decision_and_repeats_with_the_key() -> None:
    hand = Hand(num_clusters=2)
    hand.ready(*[hand.stage() for _ in range(6)])
    sent = []
    for decision in (*range(20), *range(20)):
        hand.view.clock.decisions = decision
        sent.append(_sent(hand, "random/random"))
    assert sent[:20] == sent[20:]
    assert len({stage for stage, _ in sent}) == 6
    assert {cluster for _, cluster in sent} == {0, 1}


def test_no_colocation_waits_for_the_models_own_node() -> None:
    hand = Hand(num_clusters=2, nodes_per_cluster=1, num_models=2)
    hand.ready(hand.stage(model=1))
    assert _sent(hand, "fcfs/pinned")[1] == 1
    hand.load(1, queued=8)
    assert _sent(hand, "fcfs/pinned") == (-1, -1)
    hand.view.clock.wait_legal = 0
    assert _sent(hand, "fcfs/pinned")[1] == 0


def test_every_global_rule_of_the_table_sends_something_legal() -> None:
    hand = Hand(num_clusters=2)
    hand.oracle = make_oracle(STAGES)
    hand.ready(hand.stage(), hand.stage(model=1), hand.stage(model=2))
    hand.load(0, queued=8)
    hand.load(1, queued=8)
    for name in ("maestro", "fcfs", "random", "las", "no-colocation", "session-affinity", "power-of-two", "dynamo"):
        action = ask(load_policy(name).global_rule, hand)
        assert action == 0 or (action - 1) % 2 == 1
