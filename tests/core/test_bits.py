"""Sets as bits of words, against Python's sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro_gym.core.bits import full, is_in, lowest, next_in, not_below, num_words, put_in


def members_of(words: np.ndarray) -> list[int]:
    """All members, as a walk along the set meets them."""
    found, member = [], next_in(words, -1)
    while member >= 0:
        found.append(member)
        member = next_in(words, member)
    return found


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 130), st.booleans())))
def test_a_set_holds_what_was_put_in_and_not_taken_out_in_ascending_order(moves: list[tuple[int, bool]]) -> None:
    words, model = np.zeros(num_words(131), np.int64), set()
    for member, is_member in moves:
        put_in(words, member, is_member)
        (model.add if is_member else model.discard)(member)
    assert members_of(words) == sorted(model)
    assert [member for member in range(131) if is_in(words, member)] == sorted(model)


@settings(deadline=None)
@given(st.integers(0, 31))
def test_the_highest_bit_of_a_word_is_a_member_like_the_others(member: int) -> None:
    assert lowest(1 << member) == member


def test_a_full_word_ends_with_the_set_and_a_tail_begins_at_its_member() -> None:
    assert [full(70, word) for word in range(3)] == [2**32 - 1, 2**32 - 1, 2**6 - 1]
    assert [not_below(40, word) & full(70, word) for word in range(3)] == [0, 2**32 - 2**8, 2**6 - 1]
