"""Published reclaim rules, each on an instance whose answer its formula gives."""

from __future__ import annotations

import pytest

from maestro_gym.state import (
    RECLAIM_PAUSE,
    RECLAIM_SLEEP,
    RECLAIM_TRIM,
    STAGE_FINISHED,
    STAGE_FUTURE,
    STAGE_GAP,
    STAGE_READY,
    STAGE_RUNNING,
)
from tests.baselines.hand import STAGES, Hand, ask, make_oracle, reclaim_rule

ALL = ("kvflow", "torpor-evict", "thunderagent")


def _choice(hand: Hand, name: str) -> int:
    return ask(reclaim_rule(name), hand)


def _three_idle_engines() -> Hand:
    """Models 0 to 2 are idle on node 0, the first was used longest ago; all may sleep."""
    hand = Hand()
    hand.oracle = make_oracle(STAGES)
    hand.queue(0)
    for model in range(3):
        hand.offer(RECLAIM_SLEEP, hand.engine(0, model, used_s=float(model)), freed_gb=17.5)
    return hand


def _chain(hand: Hand, workflow: int, *calls: tuple[int, int]) -> None:
    """A workflow whose calls follow one another, each with its model and its phase."""
    first = hand._stages
    for depth, (model, phase) in enumerate(calls):
        stage = hand.stage(model, workflow=workflow)
        hand.view.stages[0, stage].phase, hand.view.stages[0, stage].depth = phase, depth
        hand.oracle.stages[0, stage].model, hand.oracle.stages[0, stage].depth = model, depth
    hand.view.workflows[0, workflow].arrival_s = 1.0
    hand.oracle.workflows[0, workflow].first_stage = first
    hand.oracle.workflows[0, workflow].num_stages = len(calls)


def test_kvflow_puts_the_model_to_sleep_whose_next_call_is_the_most_steps_away() -> None:
    hand = _three_idle_engines()
    # One step to model 0, three to model 1, two to model 2.
    _chain(hand, 0, (0, STAGE_FINISHED), (2, STAGE_RUNNING), (0, STAGE_FUTURE), (2, STAGE_FUTURE), (1, STAGE_FUTURE))
    assert _choice(hand, "kvflow") == 1
    # Another workflow asks for model 1 in a step: of model 2's two users the nearer counts, two steps.
    _chain(hand, 1, (0, STAGE_GAP), (1, STAGE_FUTURE))
    assert _choice(hand, "kvflow") == 2
    # A model that nobody will ask for goes first.
    hand.oracle.stages.model[0, hand.oracle.stages.model[0] == 0] = 1
    hand.view.stages.model[0, :] = 1
    assert _choice(hand, "kvflow") == 0


def test_kvflow_keeps_what_a_ready_call_waits_for_and_counts_no_finished_workflow() -> None:
    hand = _three_idle_engines()
    _chain(hand, 0, (0, STAGE_READY), (1, STAGE_FUTURE), (2, STAGE_FUTURE))
    assert _choice(hand, "kvflow") == 2
    hand.view.workflows[0, 0].finished_s = 50.0
    assert _choice(hand, "kvflow") == 0  # nobody will ask for any of them: the first offered


def test_torpor_keeps_the_model_with_demand_and_the_one_that_is_slow_to_come_back() -> None:
    hand = _three_idle_engines()
    hand.view.models[0, 0].ready = 4
    hand.view.models[0, 1].ready = 2
    hand.view.models[0, 2].ready = 6
    hand.view.models[0, 2].warm_nodes = 6  # one stage for each node that has it
    assert _choice(hand, "torpor-evict") == 2
    hand.view.models[0, 2].ready = 30
    assert _choice(hand, "torpor-evict") == 1


def test_thunderagent_pauses_the_shortest_context_and_vllm_the_last_admitted() -> None:
    hand = _three_idle_engines()
    hand.view.reclaim_len[0] = 0
    long, short = hand.stage(prompt=1000), hand.stage(prompt=1500)
    hand.view.stages[0, long].generated_tokens = 900
    hand.view.stages[0, long].admitted_s, hand.view.stages[0, short].admitted_s = 75.0, 70.0
    hand.offer(RECLAIM_SLEEP, 2)
    hand.offer(RECLAIM_PAUSE, 0, stage=long)
    hand.offer(RECLAIM_PAUSE, 1, stage=short)
    assert _choice(hand, "thunderagent") == 2
    assert _choice(hand, "vllm") == 1


@pytest.mark.parametrize("name", ALL)
def test_models_with_waiting_stages_are_spared_and_a_stage_that_cannot_grow_takes_no_idle_engine(name: str) -> None:
    hand = _three_idle_engines()
    hand.queue(0, *(hand.stage(model=model, ready_s=80.0 + model) for model in (0, 2)))
    assert _choice(hand, name) == 1
    hand.offer(RECLAIM_PAUSE, 0, stage=hand.stage())
    assert _choice(hand, name) == 3


@pytest.mark.parametrize("name", ALL)
def test_a_lone_candidate_is_taken_and_an_empty_list_is_declined(name: str) -> None:
    hand = _three_idle_engines()
    hand.view.reclaim_len[0] = 0
    assert _choice(hand, name) == -1
    hand.offer(RECLAIM_TRIM, 0, stage=hand.stage())
    assert _choice(hand, name) == 0
