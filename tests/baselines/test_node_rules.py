"""Which waiting stage a node admits, which model it makes ready, and who drains for whom."""

from __future__ import annotations

import pytest

from maestro_gym.state import (
    BATCH,
    ENGINE_ASLEEP,
    ENGINE_LOADING,
    INTERACTIVE,
    NUM_RESERVE_LEVELS,
    RESERVE_ADAPTIVE,
    RESERVE_MAX,
    RESERVE_PROMPT,
)
from tests.baselines.hand import GB, NOW_S, Hand, ask, node_rule

WAIT = ("wait", -1, -1)
SHARED = ("vllm", "static-max", "edf", "maestro", "maestro-max", "class-fcfs", "class-fcfs-max")


def _step(hand: Hand, name: str) -> tuple[str, int, int]:
    """What a rule does: ("admit", stage, level), ("promote" | "demote", model, -1) or a wait."""
    action = ask(node_rule(name), hand)
    if action == 0:
        return WAIT
    places, models = hand.view.node_queue.shape[2], len(hand.world.models)
    action -= 1
    if action < places * NUM_RESERVE_LEVELS:
        stage = hand.view.node_queue[0, hand.view.clock[0].place, action // NUM_RESERVE_LEVELS]
        return "admit", int(stage), action % NUM_RESERVE_LEVELS
    action -= places * NUM_RESERVE_LEVELS
    return ("promote", action, -1) if action < models else ("demote", action - models, -1)


def _queue_of_one_model() -> Hand:
    """Stage 0 came first, 1 is due first, 2 is shortest but batch, 3 is the shorter interactive one."""
    hand = Hand()
    hand.engine(0, 0)
    hand.queue(
        0,
        hand.stage(ready_s=98.0, deadline_s=400.0, remaining_s=40.0),
        hand.stage(ready_s=98.5, deadline_s=200.0, remaining_s=30.0, cls=BATCH),
        hand.stage(ready_s=99.0, deadline_s=300.0, remaining_s=1.0, cls=BATCH),
        hand.stage(ready_s=99.5, deadline_s=350.0, remaining_s=20.0, cls=INTERACTIVE),
    )
    return hand


@pytest.mark.parametrize(
    ("name", "stage", "level"),
    [
        ("vllm", 0, RESERVE_PROMPT),
        ("static-max", 0, RESERVE_MAX),
        ("edf", 1, RESERVE_ADAPTIVE),
        ("maestro", 3, RESERVE_ADAPTIVE),
        ("maestro-max", 3, RESERVE_MAX),
        ("class-fcfs", 0, RESERVE_ADAPTIVE),
    ],
)
def test_each_rule_admits_by_its_order_and_reservation(name: str, stage: int, level: int) -> None:
    assert _step(_queue_of_one_model(), name) == ("admit", stage, level)


def test_vllm_blocks_at_the_head_of_an_engines_queue_and_maestro_takes_what_fits() -> None:
    hand = Hand()
    hand.engine(0, 0, running=1)
    hand.load(0, running=1, reserved_gb=53.8)  # 0.2 GB left: 2000 tokens
    big, small = hand.stage(prompt=4000), hand.stage(prompt=1000)
    hand.queue(0, big, small)
    assert _step(hand, "vllm") == WAIT
    assert _step(hand, "maestro") == ("admit", small, RESERVE_ADAPTIVE)


def test_the_head_of_one_engine_does_not_block_another_engine() -> None:
    hand = Hand()
    hand.engine(0, 0, running=1)
    hand.engine(0, 1, running=1)
    hand.load(0, running=2, reserved_gb=35.8)
    hand.queue(0, hand.stage(prompt=4000), hand.stage(model=1, prompt=1000))
    assert _step(hand, "vllm") == ("admit", 1, RESERVE_PROMPT)


def test_static_max_needs_room_for_the_clients_limit() -> None:
    hand = Hand()
    hand.engine(0, 0, running=1)
    hand.load(0, running=1, reserved_gb=53.8)
    hand.queue(0, hand.stage(prompt=1000, output=100, limit=3000))
    assert _step(hand, "vllm")[0] == "admit"
    assert _step(hand, "static-max") == WAIT


@pytest.mark.parametrize("name", SHARED)
def test_a_model_that_is_not_awake_is_promoted_for_its_waiting_stage(name: str) -> None:
    hand = Hand()
    hand.queue(0, hand.stage(model=2))
    assert _step(hand, name) == ("promote", 2, -1)
    hand.engine(0, 2, ENGINE_ASLEEP)
    assert _step(hand, name) == ("promote", 2, -1)


@pytest.mark.parametrize("name", SHARED)
def test_a_node_waits_while_the_model_loads(name: str) -> None:
    hand = Hand()
    hand.engine(0, 2, ENGINE_LOADING)
    hand.queue(0, hand.stage(model=2))
    assert _step(hand, name) == WAIT


def _full_node(**others: int) -> Hand:
    """Models 0 to 3 fill the HBM of node 0; ``others`` maps "running0" to the sequences of model 0."""
    hand = Hand(num_models=5)
    for model in range(4):
        hand.engine(0, model, running=others.get(f"running{model}", 0), used_s=float(model))
    hand.view.nodes[0, 0].kv_pool_bytes = 1.0 * GB
    return hand


def test_an_idle_unwanted_engine_makes_way_for_a_promotion() -> None:
    hand = _full_node(running0=1, running1=1, running2=1)
    hand.queue(0, hand.stage(model=4))
    assert _step(hand, "maestro") == ("promote", 4, -1)


def test_no_engine_with_waiting_stages_is_displaced_by_a_newcomer() -> None:
    hand = _full_node(running0=1, running1=1, running2=1)
    old, new = hand.stage(model=3, remaining_s=90.0, prompt=20_000_000), hand.stage(model=4, remaining_s=1.0)
    hand.queue(0, old, new)
    assert _step(hand, "maestro") == WAIT


def test_an_overdue_stage_displaces_a_model_whose_waiting_stages_are_younger() -> None:
    hand = _full_node(running0=1, running1=1, running2=1)
    too_big = hand.stage(model=3, ready_s=NOW_S - 1.0, prompt=20_000)
    hand.queue(0, hand.stage(model=4, ready_s=NOW_S - 60.0), too_big)
    assert _step(hand, "maestro") == ("promote", 4, -1)
    hand.view.stages[0, too_big].ready_s = NOW_S - 70.0
    assert _step(hand, "maestro") == WAIT


def test_the_engine_with_the_fewest_stages_drains_for_an_overdue_one() -> None:
    hand = _full_node(running0=3, running1=1, running2=3, running3=3)
    waiting = hand.stage(model=4, ready_s=NOW_S - 60.0, remaining_s=500.0)
    for_drained, for_other = hand.stage(model=1, remaining_s=1.0), hand.stage(model=0, remaining_s=5.0)
    hand.queue(0, waiting, for_drained, for_other)
    assert _step(hand, "maestro") == ("admit", for_other, RESERVE_ADAPTIVE)
    # Before its patience is out, everybody is served.
    hand.view.stages[0, waiting].ready_s = NOW_S - 5.0
    assert _step(hand, "maestro") == ("admit", for_drained, RESERVE_ADAPTIVE)


def test_younger_stages_leave_memory_to_an_overdue_one_that_does_not_fit() -> None:
    hand = Hand()
    hand.engine(0, 0, running=1)
    hand.load(0, running=1, reserved_gb=53.8)
    big = hand.stage(prompt=4000, ready_s=NOW_S - 60.0, remaining_s=500.0)
    hand.queue(0, big, hand.stage(prompt=1000))
    assert _step(hand, "maestro") == WAIT
    hand.view.nodes[0, 0].kv_reserved_bytes = 50 * GB
    assert _step(hand, "maestro")[0] == "admit"


@pytest.mark.parametrize("name", [*SHARED, "exclusive"])
def test_a_rule_finds_something_legal_when_it_may_not_wait(name: str) -> None:
    hand = Hand()
    hand.engine(0, 1)
    hand.view.clock.wait_legal = 0
    hand.queue(0)
    assert _step(hand, name) == ("demote", 1, -1)


def test_exclusive_clears_the_node_before_it_serves() -> None:
    hand = Hand()
    hand.engine(0, 0, used_s=50.0)
    hand.engine(0, 1, used_s=60.0)
    hand.queue(0, hand.stage(model=0))
    assert _step(hand, "exclusive") == ("demote", 1, -1)


def test_exclusive_swaps_the_whole_node_when_the_owner_has_no_work() -> None:
    hand = Hand()
    hand.engine(0, 0)
    hand.queue(0, hand.stage(model=1))
    assert _step(hand, "exclusive") == ("demote", 0, -1)
    vacant = Hand()
    vacant.engine(0, 0, ENGINE_ASLEEP)
    vacant.queue(0, vacant.stage(model=1))
    assert _step(vacant, "exclusive") == ("promote", 1, -1)


def test_exclusive_drains_the_owner_once_another_model_is_overdue() -> None:
    hand = Hand()
    hand.engine(0, 0, running=2)
    hand.queue(0, hand.stage(model=1, ready_s=NOW_S - 60.0), hand.stage(model=0))
    assert _step(hand, "exclusive") == WAIT
    hand.view.stages[0, 0].ready_s = NOW_S - 1.0
    assert _step(hand, "exclusive") == ("admit", 1, RESERVE_ADAPTIVE)
