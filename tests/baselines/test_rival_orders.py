"""Each rival order on stages whose order follows from its formula by hand; the clock stands at 100 s."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from maestro_gym.scheduling.numbers import FIRST_OWN
from tests.baselines.hand import NOW_S, Hand, order_key, order_of

Instance = Callable[[], tuple[Hand, list[int]]]
"""Makes stages, and says in which order they must go."""


def _qoserve() -> tuple[Hand, list[int]]:
    """Keys: 150 + 0.008 * 2,100 = 166.8, 160 + 0.008 * 600 = 164.8, 120: but 25 s of work cannot be done in 20 s."""
    hand = Hand()
    long = hand.stage(prompt=2000, output=100.0, deadline_s=150.0, remaining_s=10.0)
    short = hand.stage(prompt=500, output=100.0, deadline_s=160.0, remaining_s=5.0)
    hopeless = hand.stage(prompt=100, output=100.0, deadline_s=120.0, remaining_s=25.0)
    return hand, [short, long, hopeless]


def _edf_relegation() -> tuple[Hand, list[int]]:
    """Deadlines 120, 130, 140: the first would end at 125 and the third is over."""
    hand = Hand()
    hopeless = hand.stage(deadline_s=120.0, remaining_s=25.0)
    sooner, later = hand.stage(deadline_s=130.0, remaining_s=25.0), hand.stage(deadline_s=140.0, remaining_s=1.0)
    over = hand.stage(deadline_s=99.0, remaining_s=1.0)
    return hand, [sooner, later, over, hopeless]


INSTANCES: dict[str, Instance] = {
    "qoserve": _qoserve,
    "edf-relegation": _edf_relegation,
}


@pytest.mark.parametrize("name", INSTANCES)
def test_an_order_sorts_as_its_formula_says(name: str) -> None:
    hand, expected = INSTANCES[name]()
    assert order_of(name, hand, *range(len(expected))) == expected
    assert expected != sorted(expected), "the order of readiness would do as well"


def test_qoserve_without_alpha_is_edf_and_with_a_large_one_the_shortest_work_first() -> None:
    hand = Hand()
    stages = hand.stage(prompt=3000, deadline_s=200.0), hand.stage(prompt=1000, deadline_s=300.0)
    by_alpha = {}
    for alpha in (0.0, 0.05):
        hand.view.numbers[0, FIRST_OWN] = alpha
        by_alpha[alpha] = [order_key("qoserve", hand, stage) for stage in stages]
    assert by_alpha[0.0] == [200.0, 300.0]
    assert by_alpha[0.05] == pytest.approx([200.0 + 155.0, 300.0 + 55.0])


def test_a_workflow_is_relegated_once_its_deadline_is_nearer_than_its_work() -> None:
    hand = Hand()
    first, second = hand.stage(deadline_s=NOW_S + 9.9, remaining_s=10.0), hand.stage(deadline_s=500.0)
    assert order_of("edf-relegation", hand, first, second) == [second, first]
    hand.view.workflows[0, first].deadline_s = NOW_S + 10.0
    assert order_of("edf-relegation", hand, first, second) == [first, second]
