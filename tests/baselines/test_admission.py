"""Rules of admission on workflows whose verdict follows from the formulas by hand; the clock stands at 100 s."""

from __future__ import annotations

import numpy as np
import pytest

from maestro_gym.baselines import build
from maestro_gym.baselines.admission.shed import probability
from maestro_gym.baselines.registry import ADMISSIONS, ORDERS, ROUTINGS
from maestro_gym.baselines.shaped.numbers import REJECT_LATENESS, defaults
from maestro_gym.core.boxed import box
from maestro_gym.scheduling.actions import WAIT, is_reject, reject_code, rejected_stage, send_code
from maestro_gym.scheduling.numbers import FIRST_OWN
from maestro_gym.scheduling.rules import ADMITS, DEFERS, REJECTS
from maestro_gym.state import BATCH, INTERACTIVE
from maestro_gym.state.types import VIEW
from tests.baselines.hand import NOW_S, STAGES, Hand, ask

BEHIND_S = 16.0
"""Work of a node that is 1 s of waiting at the nominal batch of 16."""


def _gateway(rule: str, *, on: bool = True) -> Hand:
    hand = Hand()
    hand.world.params.admission = int(on)
    hand.given(ADMISSIONS[rule])
    return hand


def _verdict(rule: str, hand: Hand, stage: int) -> int:
    return int(ADMISSIONS[rule].verdict(box(hand.view, VIEW), 0, stage))


def _answer(hand: Hand, rule: str, order: str = "fcfs") -> tuple[str, int]:
    """What the global rule with a rule of admission does, and to which stage."""
    made = build.global_rule(ORDERS[order], ROUTINGS["jsq"], ADMISSIONS[rule])
    code, view = ask(made, hand), box(hand.view, VIEW)
    if code == WAIT:
        return "wait", -1
    if is_reject(view, code):
        return "reject", int(rejected_stage(view, code))
    assert code == send_code(view, code - 1, 0)  # one cluster
    return "send", code - 1


def test_what_is_late_even_behind_the_least_work_is_turned_away_first() -> None:
    hand = _gateway("reject-late")
    for node in range(2):
        hand.load(node, work_s=(5.0 + node) * BEHIND_S)  # 5 s at the better node
    in_time = hand.stage(deadline_s=NOW_S + 15.1, remaining_s=10.0)
    late = hand.stage(deadline_s=NOW_S + 14.9, remaining_s=10.0)
    hand.ready(in_time, late)
    assert [_verdict("reject-late", hand, stage) for stage in (in_time, late)] == [ADMITS, REJECTS]
    assert _answer(hand, "reject-late") == ("reject", late)
    hand.ready(in_time)
    assert _answer(hand, "reject-late") == ("send", in_time)


def test_without_the_switch_and_after_its_first_call_nobody_is_turned_away() -> None:
    for on, begun_s in ((False, np.inf), (True, NOW_S - 5.0)):
        hand = _gateway("reject-late", on=on)
        late = hand.stage(deadline_s=NOW_S + 1.0, remaining_s=10.0)
        hand.view.workflows[0, late].begun_s = begun_s
        hand.ready(late)
        assert _answer(hand, "reject-late") == ("send", late)


def test_the_gateway_lets_in_holds_back_and_turns_away() -> None:
    hand = _gateway("gateway")
    for node in range(2):
        hand.load(node, work_s=20.0 * BEHIND_S)
    free, held, hopeless = (hand.stage(deadline_s=NOW_S + slack_s + 10.0) for slack_s in (20.0, 19.9, -0.1))
    hand.ready(held, free, hopeless)
    assert [_verdict("gateway", hand, stage) for stage in (free, held, hopeless)] == [ADMITS, DEFERS, REJECTS]
    assert _answer(hand, "gateway") == ("reject", hopeless)
    hand.ready(held, free)
    assert _answer(hand, "gateway") == ("send", free)  # FCFS would send the other
    hand.ready(held)
    assert _answer(hand, "gateway") == ("wait", -1)
    hand.view.clock.wait_legal = 0
    assert _answer(hand, "gateway") == ("send", held)
    hand.view.clock.wait_legal = 1
    for node in range(2):
        hand.load(node, work_s=0.0)
    hand.view.clock.decisions += 1  # the wait is measured once a decision
    assert _answer(hand, "gateway") == ("send", held)


def test_a_hold_of_the_order_itself_still_holds_behind_the_gateway() -> None:
    hand = _gateway("reject-late")
    hand.view.numbers[0, FIRST_OWN] = 1.0  # read as the wait factor of the order, too, and as the stretch of the rule
    for node in range(2):
        hand.load(node, work_s=5.0 * BEHIND_S)
    hand.view.numbers[0, FIRST_OWN + 1] = 0.0
    held = hand.stage(deadline_s=NOW_S + 14.0, remaining_s=10.0)
    hand.ready(held)
    assert _answer(hand, "reject-late", "gateway-hold") == ("wait", -1)


@pytest.mark.parametrize(
    ("waiting", "expected"),
    # Two nodes, and 5 stages a node are full; the law reaches 1 at a saturation of 0.32.
    [(0, 0.0), (1, 300 * 0.1**5), (2, 300 * 0.2**5), (3, 300 * 0.3**5), (4, 1.0)],
)
def test_the_probability_of_shedding_follows_the_law(waiting: int, expected: float) -> None:
    hand = _gateway("shed")
    hand.ready(*(hand.stage() for _ in range(waiting)))
    assert probability(box(hand.view, VIEW), 0) == pytest.approx(expected)


def test_kv_memory_alone_sheds_too() -> None:
    hand = _gateway("shed")
    for node in range(2):
        hand.load(node, reserved_gb=14.4)  # 0.2 of the pool, 0.25 of what counts as full
    assert probability(box(hand.view, VIEW), 0) == pytest.approx(300 * 0.25**5)


def test_shedding_asks_a_batch_workflow_once_at_its_arrival() -> None:
    hand = _gateway("shed")
    old = [hand.stage(cls=BATCH, ready_s=NOW_S - 1.0) for _ in range(4)]  # full: whoever is asked is turned away
    interactive, batch = hand.stage(cls=INTERACTIVE, ready_s=NOW_S), hand.stage(cls=BATCH, ready_s=NOW_S)
    hand.ready(*old, interactive, batch)
    verdicts = [_verdict("shed", hand, stage) for stage in (*old, interactive, batch)]
    assert verdicts == [ADMITS] * 5 + [REJECTS]
    hand.view.numbers[0, FIRST_OWN + 4] = 1.0
    assert _verdict("shed", hand, interactive) == REJECTS


def test_who_is_shed_at_a_low_saturation_is_shed_at_a_higher_one_too() -> None:
    shed: list[set[int]] = []
    for waiting in (2, 3):  # p = 0.096 and 0.729
        gone = set()
        for workflow in range(STAGES - waiting):
            hand = _gateway("shed")
            stages = [hand.stage(cls=BATCH, ready_s=NOW_S - 1.0) for _ in range(waiting - 1)]
            newcomer = hand.stage(cls=BATCH, ready_s=NOW_S, workflow=workflow)
            hand.ready(*stages, newcomer)
            if _verdict("shed", hand, newcomer) == REJECTS:
                gone.add(workflow)
        shed.append(gone)
    assert shed[0] <= shed[1]
    assert len(shed[1]) > 0


def test_a_rejection_is_a_code_of_its_own_behind_all_sends() -> None:
    hand = Hand(num_clusters=2)
    view = box(hand.view, VIEW)
    sends = {int(send_code(view, stage, cluster)) for stage in range(STAGES) for cluster in range(2)}
    rejections = [int(reject_code(view, stage)) for stage in range(STAGES)]
    assert min(rejections) == max(sends) + 1
    assert not any(is_reject(view, code) for code in {WAIT, *sends})
    assert [int(rejected_stage(view, code)) for code in rejections if is_reject(view, code)] == list(range(STAGES))


def test_the_shaped_family_turns_away_what_is_later_than_its_threshold_and_nobody_by_default() -> None:
    hand = Hand()
    hand.world.params.admission = 1
    hand.view.numbers[0, : len(defaults())] = defaults()
    late, less = (hand.stage(deadline_s=NOW_S + left_s, remaining_s=40.0) for left_s in (10.0, 25.0))
    assert [_verdict("shaped", hand, stage) for stage in (late, less)] == [ADMITS, ADMITS]
    hand.view.numbers[0, REJECT_LATENESS] = 20.0  # they will be 30 and 15 s late
    assert [_verdict("shaped", hand, stage) for stage in (late, less)] == [REJECTS, ADMITS]
