"""What rules of fairness keep of tenants: Karma's credits, DLPM's refills, quotas, throttling, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro_gym.baselines.orders.karma import settle
from maestro_gym.baselines.registry import ADMISSIONS, ORDERS
from maestro_gym.core.boxed import box
from maestro_gym.scheduling.rules import ADMITS, REJECTS
from maestro_gym.state.types import VIEW
from tests.baselines.hand import NOW_S, TENANTS, Hand, order_key

SLICE = 1.0
"""Tokens of one of Karma's slices, where its algorithm is followed slice by slice."""


def karma_by_slices(credits: np.ndarray, over: np.ndarray) -> np.ndarray:
    """Algorithm 1 of Karma with alpha = 1, from what each was served above its share: one slice of one donor a time."""
    paid, donated = credits - np.maximum(over, 0.0), np.maximum(-over, 0.0)
    for _ in range(round(np.maximum(over, 0.0).sum() / SLICE)):
        donors = np.flatnonzero(donated >= SLICE)
        poorest = donors[np.argmin(paid[donors])]
        paid[poorest], donated[poorest] = paid[poorest] + SLICE, donated[poorest] - SLICE
    return paid


@settings(deadline=None)  # the first example compiles
@given(
    credits=st.lists(st.integers(-5000, 5000), min_size=2, max_size=8),
    served=st.lists(st.integers(0, 300), min_size=8, max_size=8),
    share=st.integers(0, 300),
)
def test_credits_move_as_by_karmas_algorithm_and_their_sum_stays(
    credits: list[int], served: list[int], share: int
) -> None:
    over = np.array(served[: len(credits)], float) - share
    over -= max(0.0, np.ceil(over.mean()))  # capacity is at least what was served
    before = np.array(credits, float)
    after = before.copy()
    settle(after, over)
    assert after.sum() == pytest.approx(before.sum(), abs=1e-6)
    # Where donors are level the slices go round; nobody differs by more than one.
    np.testing.assert_allclose(after, karma_by_slices(before, over), atol=SLICE + 1e-6)
    donors = over < 0.0
    gained = after - before
    assert np.all(gained[donors] <= -over[donors] + 1e-6), "no donor earns more than it gave"
    earned, short = donors & (gained > 1e-6), donors & (gained < -over - 1e-6)
    if earned.any() and short.any():
        assert after[earned].max() <= after[short].min() + 1e-6, (
            "max-min: a richer donor earns only when poorer are level"
        )


def test_karma_lets_who_was_frugal_go_first_when_it_wants_more_than_its_share() -> None:
    hand = Hand()
    hand.given(ORDERS["karma"])
    frugal, greedy = hand.stage(), hand.stage()
    hand.view.workflows["tenant"][0, :2] = [1, 2]
    hand.ready(frugal, greedy)
    # A first quantum of 20 s: tenant 2 is served 8,000, the others nothing; the capacity is 400 a second.
    hand.view.clock.now_s = 20.0
    hand.view.tenants[0, 2].prompt_tokens = 8000.0
    order_key("karma", hand, greedy)
    credits = hand.view.tenant_memory[0, :, 0]
    np.testing.assert_allclose(credits, [2000.0, 2000.0, -6000.0, 2000.0])
    # In the next quantum a share is 400 / 4 * 15 = 1,500: at 1,000 it goes by readiness, at 2,000 by credits.
    hand.view.clock.now_s, hand.view.clock.decisions = 25.0, 1
    hand.view.tenants["prompt_tokens"][0, [1, 2]] += 1000.0
    view = box(hand.view, VIEW)
    assert [ORDERS["karma"].band(view, 0, stage) for stage in (frugal, greedy)] == [0, 0]
    hand.view.clock.decisions = 2
    hand.view.tenants["prompt_tokens"][0, [1, 2]] += 1000.0
    assert [ORDERS["karma"].band(view, 0, stage) for stage in (frugal, greedy)] == [1, 1]
    assert [order_key("karma", hand, stage) for stage in (frugal, greedy)] == [-1500.0, 6500.0]


def test_dlpm_refills_those_who_wait_until_one_has_credit() -> None:
    hand = Hand()
    hand.given(ORDERS["dlpm"])
    first, second = hand.stage(), hand.stage()
    hand.view.workflows["tenant"][0, :2] = [1, 2]
    hand.view.tenants["prompt_tokens"][0, [1, 2, 3]] = 20_000.0, 30_000.0, 0.0
    hand.ready(first, second)
    view = box(hand.view, VIEW)
    bands = [ORDERS["dlpm"].band(view, 0, stage) for stage in (first, second)]
    assert bands == [0, 1], "three quanta of 8,000 are the fewest that give one of them credit"
    assert hand.view.tenant_memory[0, :, 0].tolist() == [0.0, 24_000.0, 24_000.0, 0.0]
    hand.view.clock.decisions = 1
    hand.view.tenants[0, 1].prompt_tokens += 4000.0
    assert [ORDERS["dlpm"].band(view, 0, stage) for stage in (first, second)] == [0, 0]
    assert hand.view.tenant_memory[0, :, 0].tolist() == [0.0, 32_000.0, 32_000.0, 0.0]


def test_a_quota_fills_with_time_and_no_further_than_its_burst() -> None:
    hand = Hand()
    hand.given(ORDERS["weighted-quota"])
    stage = hand.stage()
    hand.view.workflows[0, stage].tenant = 1
    hand.world.tenants["quota_tokens_per_s"][1] = 100.0
    view = box(hand.view, VIEW)
    bands = []
    # 10 s of 100 are 1,000: full at the start, 500 are left, all is used, 1 s brings 100, an hour no more than 1,000.
    for decision, (now_s, served) in enumerate(
        [(0.0, 0.0), (0.0, 500.0), (0.0, 1001.0), (1.0, 1001.0), (3600.0, 1001.0), (3600.0, 2002.0)]
    ):
        hand.view.clock.now_s, hand.view.clock.decisions = now_s, decision
        hand.view.tenants[0, 1].prompt_tokens = served
        bands.append(int(ORDERS["weighted-quota"].band(view, 0, stage)))
    assert bands == [0, 0, 1, 0, 0, 1]


def test_only_newcomers_above_their_quota_are_throttled_and_only_when_the_fleet_is_full() -> None:
    hand = Hand()
    hand.given(ADMISSIONS["throttle"])
    verdict, view = ADMISSIONS["throttle"].verdict, box(hand.view, VIEW)
    above, within, earlier = hand.stage(ready_s=NOW_S), hand.stage(ready_s=NOW_S), hand.stage(ready_s=NOW_S - 1.0)
    hand.view.workflows["tenant"][0, :3] = [1, 2, 1]
    hand.world.tenants["quota_tokens_per_s"][:TENANTS] = 100.0
    hand.view.tenants["prompt_tokens"][0, 1] = 5000.0
    answers = {}
    for queued in (4, 6):
        for node in range(2):
            hand.load(node, queued=queued)
        hand.view.clock.decisions = queued
        answers[queued] = [int(verdict(view, 0, stage)) for stage in (above, within, earlier)]
    assert answers == {4: [ADMITS, ADMITS, ADMITS], 6: [REJECTS, ADMITS, ADMITS]}
