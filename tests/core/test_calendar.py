"""Calendars against a plain list of times."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro_gym.core.calendar import earliest_s, look_up, next_node, num_leaves, put

times = st.one_of(st.floats(-5.0, 5.0), st.sampled_from([math.inf, -math.inf]))


@settings(deadline=None)
@given(st.integers(1, 37).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(st.integers(0, n - 1), times)))))
def test_a_calendar_finds_the_earliest_time_and_all_by_a_time_in_order(
    case: tuple[int, list[tuple[int, float]]],
) -> None:
    size, moves = case
    tree, plain = np.full(2 * num_leaves(size), math.inf), [math.inf] * size
    for node, time_s in moves:
        put(tree, node % size, time_s)
        plain[node % size] = time_s
    assert [look_up(tree, node) for node in range(size)] == plain
    assert earliest_s(tree) == min(plain)
    for until_s in (-math.inf, -1.0, 0.0, 2.5, 1e9):
        found, node = [], next_node(tree, 0, until_s)
        while node >= 0:
            found.append(node)
            node = next_node(tree, node + 1, until_s)
        assert found == [node for node in range(size) if plain[node] <= until_s]
