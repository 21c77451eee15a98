"""Published reclaim rules, each on an instance whose answer its formula gives."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.baselines.reclaim.continuum_ttl import mean_gap_s, ttl_s
from maestro_gym.baselines.registry import RECLAIM_RULES
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
from tests.baselines.hand import NOW_S, STAGES, Hand, ask, make_oracle, reclaim_rule

ALL = ("continuum-ttl", "kvflow", "saga-wa-lru", "torpor-evict")


def _choice(hand: Hand, name: str) -> int:
    """What gives way by a rule, its numbers at their defaults."""
    hand.given(RECLAIM_RULES[name])
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
    # Another workflow asks for model 1 in a step and again in four: the nearest use counts, and model 2's is in two.
    _chain(hand, 1, (0, STAGE_GAP), (1, STAGE_FUTURE), (2, STAGE_FUTURE), (2, STAGE_FUTURE), (1, STAGE_FUTURE))
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


def _pause(hand: Hand, model: int, *, since_s: float, probability: float = 0.0, prompt: int = 1000) -> int:
    """A session whose last call ran on node 0 and whose tool has run for some seconds."""
    stage = hand.stage(model, prompt=prompt)
    row = hand.view.stages[0, stage]
    row.phase, row.node, row.finished_s, row.tool_probability = STAGE_GAP, 0, NOW_S - since_s, probability
    return stage


def test_wa_lru_weighs_idle_time_likely_reuse_and_size() -> None:
    hand = _three_idle_engines()
    for slot, used_s in enumerate((70.0, 88.0, 94.0)):  # idle for 0.5, 0.2 and 0.1 of the window
        hand.view.reclaim[0, slot].last_used_s = used_s
    assert _choice(hand, "saga-wa-lru") == 0  # 0.15 + 0.5 against 0.06 + 0.5 and 0.03 + 0.5
    _pause(hand, 0, since_s=1.0, probability=0.2)  # 0.15 + 0.4 against 0.06 + 0.5
    assert _choice(hand, "saga-wa-lru") == 1
    hand.view.reclaim[0, 1].freed_bytes *= 0.8  # 0.06 + 0.5 + 0.16 against 0.15 + 0.4 + 0.2
    assert _choice(hand, "saga-wa-lru") == 0


def test_wa_lru_counts_every_session_that_pauses_on_the_engine() -> None:
    hand = _three_idle_engines()
    hand.view.reclaim[0, :3].last_used_s = 50.0
    for model, probabilities in enumerate(((0.6,), (0.5, 0.5), (0.3, 0.3, 0.3))):
        for probability in probabilities:
            _pause(hand, model, since_s=1.0, probability=probability)
    # Reuse 0.6, 1 - 0.5^2 = 0.75, 1 - 0.7^3 = 0.66.
    assert _choice(hand, "saga-wa-lru") == 0
    elsewhere = _pause(hand, 0, since_s=1.0, probability=0.9)
    hand.view.stages[0, elsewhere].node = 1
    assert _choice(hand, "saga-wa-lru") == 0
    hand.view.stages[0, elsewhere].node = 0
    assert _choice(hand, "saga-wa-lru") == 2


def test_the_ttl_is_where_keeping_for_longer_costs_what_it_saves() -> None:
    gap_s, back_s, price = 4.0, 3.0, 0.25
    times = np.linspace(0.0, 40.0, 400_001)
    worth = (1.0 - np.exp(-times / gap_s)) * back_s - price * times
    assert ttl_s(gap_s, back_s, price) == pytest.approx(times[worth.argmax()], abs=1e-3)
    assert ttl_s(gap_s, 1.0, 0.3) == 0.0


def test_continuum_learns_the_mean_gap_from_gaps_that_ended_and_those_that_last() -> None:
    hand = Hand()
    hand.given(RECLAIM_RULES["continuum-ttl"])
    assert mean_gap_s(hand.view, 0) == 5.0
    calls = [hand.stage(workflow=0) for _ in range(3)]
    for depth, stage in enumerate(calls):
        hand.view.stages[0, stage].depth = depth
    rows = hand.view.stages[0]
    rows[calls[0]].phase, rows[calls[0]].finished_s, rows[calls[1]].ready_s = STAGE_FINISHED, 60.0, 61.0
    rows[calls[1]].phase = STAGE_RUNNING
    assert mean_gap_s(hand.view, 0) == (5.0 + 1.0) / 2
    rows[calls[1]].phase, rows[calls[1]].finished_s = STAGE_GAP, NOW_S - 12.0
    assert mean_gap_s(hand.view, 0) == (5.0 + 1.0 + 12.0) / 2


def test_continuum_keeps_the_engine_of_a_paused_session_until_its_time_to_live_is_over() -> None:
    hand = _three_idle_engines()
    _pause(hand, 0, since_s=0.5)
    # A wake of 1 s and 0.1 s of prefill; 17.5 of 72 GB; gaps of 5.5 s: 1.1 < 0.243 * 5.5, so it does not pay.
    assert 1.0 + 0.1 < 17.5 / 72.0 * 5.5
    assert _choice(hand, "continuum-ttl") == 0
    # 20,000 tokens of context take 2 s: 5.5 ln(3 / 1.337) = 4.4 s.
    hand.view.stages[0, 0].prompt_tokens = 20_000
    assert _choice(hand, "continuum-ttl") == 1
    hand.view.stages[0, 0].finished_s = NOW_S - 4.9  # gaps of 9.9 s: 9.9 ln(3 / 2.406) = 2.2 s
    assert _choice(hand, "continuum-ttl") == 0


def test_continuum_gives_up_the_first_to_expire_where_all_are_pinned() -> None:
    hand = _three_idle_engines()
    for model, since_s in enumerate((0.5, 0.9, 0.1)):
        _pause(hand, model, since_s=since_s, prompt=30_000)
    assert _choice(hand, "continuum-ttl") == 1


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
