"""Sets of small numbers as bits of words, in ascending order: what a scan over a fleet looks at instead of every node.

A word holds 32 members in a signed integer of 64 bits, so that compiled and interpreted arithmetic agree.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from maestro_gym.core.compile import INTERPRETED, njit

MEMBERS: Final = 32
"""Members of a word."""

_SHIFT: Final = 5


def num_words(size: int) -> int:
    """Words of a set of numbers below ``size``."""
    return -(-size // MEMBERS)


@intrinsic
def _count_trailing_zeros(typing_context: Any, word: Any) -> Any:  # noqa: ANN401 - numba's own objects
    """LLVM's instruction for it; the word must not be zero."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


if INTERPRETED:

    def lowest(word: int) -> int:
        """The lowest member of a word that is not empty."""
        return (int(word) & -int(word)).bit_length() - 1
else:

    @njit
    def lowest(word: int) -> int:
        """The lowest member of a word that is not empty."""
        return _count_trailing_zeros(word)  # pyright: ignore[reportCallIssue] - numba adds its context


@njit
def word_of(member: int) -> int:
    """Number of the word that holds a member."""
    return member >> _SHIFT


@njit
def first_of(word: int) -> int:
    """The lowest number that a word can hold."""
    return word << _SHIFT


@njit
def bit_of(member: int) -> int:
    """A member as a bit of its word."""
    return 1 << (member & (MEMBERS - 1))


@njit
def not_below(member: int, word: int) -> int:
    """The word of the set of all numbers from ``member`` on; no earlier word holds any."""
    return -1 << max(0, member - first_of(word)) if word >= word_of(member) else 0


@njit
def full(size: int, word: int) -> int:
    """The word of the set of all numbers below ``size``."""
    return (1 << min(MEMBERS, size - first_of(word))) - 1


@njit
def is_in(words: np.ndarray, member: int) -> bool:
    """Whether a set holds a number."""
    return int(words[word_of(member)]) & bit_of(member) != 0


@njit
def next_in(words: np.ndarray, member: int) -> int:
    """The member of a set that follows ``member``, -1 when there is none."""
    for word in range(word_of(member + 1), words.shape[0]):
        rest = int(words[word]) & not_below(member + 1, word)
        if rest != 0:
            return first_of(word) + lowest(rest)
    return -1


@njit
def put_in(words: np.ndarray, member: int, is_in: bool) -> None:
    """Put a number into a set, or take it out."""
    if is_in:
        words[word_of(member)] |= bit_of(member)
    else:
        words[word_of(member)] &= ~bit_of(member)
