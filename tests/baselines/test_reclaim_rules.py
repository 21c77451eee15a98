"""Who gives way when memory is short."""

from __future__ import annotations

import pytest

from maestro_gym.state import RECLAIM_DEMOTE, RECLAIM_PAUSE, RECLAIM_SLEEP, RECLAIM_TRIM
from tests.baselines.hand import Hand, ask, reclaim_rule


def _choice(hand: Hand, name: str) -> int:
    return ask(reclaim_rule(name), hand)


def _node_with_three_engines() -> Hand:
    hand = Hand()
    hand.queue(0)
    hand.engine(0, 0, used_s=30.0)
    hand.engine(0, 1, used_s=10.0)
    hand.engine(0, 2, used_s=20.0)
    return hand


def test_least_harm_takes_the_least_harm_a_byte() -> None:
    hand = _node_with_three_engines()
    hand.offer(RECLAIM_SLEEP, 0, freed_gb=16.0, harm_s=1.6)
    hand.offer(RECLAIM_SLEEP, 1, freed_gb=16.0, harm_s=0.8)
    hand.offer(RECLAIM_PAUSE, 2, stage=0, freed_gb=0.2, harm_s=0.1)
    assert _choice(hand, "least-harm") == 1


@pytest.mark.parametrize("name", ["lru", "vllm"])
def test_lru_puts_the_engine_to_sleep_that_was_used_longest_ago(name: str) -> None:
    hand = _node_with_three_engines()
    for slot in range(3):
        hand.offer(RECLAIM_SLEEP, slot, freed_gb=16.0)
    assert _choice(hand, name) == 1


def test_lru_moves_one_tier_at_a_time() -> None:
    hand = _node_with_three_engines()
    hand.offer(RECLAIM_DEMOTE, 1)
    hand.offer(RECLAIM_SLEEP, 0)
    assert _choice(hand, "lru") == 1


@pytest.mark.parametrize("name", ["least-harm", "lru", "vllm"])
def test_models_with_waiting_stages_are_spared_while_another_choice_exists(name: str) -> None:
    hand = _node_with_three_engines()
    hand.queue(0, hand.stage(model=1))
    hand.offer(RECLAIM_SLEEP, 1, harm_s=0.1)
    hand.offer(RECLAIM_SLEEP, 2, harm_s=0.9)
    assert _choice(hand, name) == 1


@pytest.mark.parametrize("name", ["least-harm", "lru", "vllm"])
def test_of_wanted_models_the_one_with_the_youngest_demand_gives_way(name: str) -> None:
    hand = _node_with_three_engines()
    hand.queue(0, hand.stage(model=1, ready_s=80.0), hand.stage(model=2, ready_s=90.0))
    hand.offer(RECLAIM_SLEEP, 1, harm_s=0.1)
    hand.offer(RECLAIM_SLEEP, 2, harm_s=0.9)
    assert _choice(hand, name) == 1


def test_vllm_preempts_the_last_admitted_and_leaves_idle_engines_alone() -> None:
    hand = _node_with_three_engines()
    first, last = hand.stage(), hand.stage()
    hand.view.stages[0, first].admitted_s = 70.0
    hand.view.stages[0, last].admitted_s = 75.0
    hand.offer(RECLAIM_SLEEP, 1)
    hand.offer(RECLAIM_PAUSE, 0, stage=first)
    hand.offer(RECLAIM_PAUSE, 2, stage=last)
    hand.offer(RECLAIM_TRIM, 0, stage=first)
    assert _choice(hand, "vllm") == 2
    assert _choice(hand, "lru") == 0


@pytest.mark.parametrize("name", ["least-harm", "lru", "vllm"])
def test_a_lone_candidate_is_taken_and_an_empty_list_is_declined(name: str) -> None:
    hand = _node_with_three_engines()
    assert _choice(hand, name) == -1
    hand.offer(RECLAIM_TRIM, 0, stage=hand.stage())
    assert _choice(hand, name) == 0
