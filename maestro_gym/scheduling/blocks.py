"""Blocks of ready stages: an order passes over those that hold nothing sooner than what it has.

The ready stages of a model lie in blocks of a few that follow one another. An order notes of a block its least band
and key. Keys move with time, but an order knows how slowly they rise or how fast they fall (its slope, `rules.Order`):
what it noted, moved by the slope, stays a bound below all keys of the block while stages leave it, until a stage joins
it, a stage of one of their workflows finishes, or an instant comes that the order knows too. So a decision looks at a
few stages of a long queue, and decides what a walk along all of it decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.order import is_sooner
from maestro_gym.scheduling.view import now_s
from maestro_gym.state import Hidden, View

MEMBERS: Final = 32
"""Most stages of a block: so many keys are compared when one is looked at; there are so many times fewer blocks."""

_ROUNDING: Final = 1e-9
"""By which part a bound may lie above a key, as sums of times round; far above double precision."""


@njit
def forget(view: View, e: int, stage: int) -> None:
    """What was noted of the block of a ready stage is a bound no longer."""
    view.blocks[e, view.ready_block[e, stage]].version += 1


@njit
def first_promising(
    view: View,
    oracle: Hidden,
    e: int,
    stage: int,
    band: Callable[..., int],
    key: Callable[..., float],
    until: Callable[..., float],
    slope: float,
    order: int,
    best_band: int,
    best_key: float,
) -> int:
    """The first stage, from one on, of a block that may hold something sooner than the best so far.

    Args:
        view: What a scheduler sees, with lists of ready stages.
        oracle: The true future, empty but for oracle policies.
        e: Environment.
        stage: A ready stage, or -1.
        band: Of a stage, handed over by ``rules.as_band``.
        key: Of a stage, handed over by ``rules.as_key``.
        until: Until when the key of a stage keeps to the slope, handed over by ``rules.as_until``.
        slope: Least change of a key in a second.
        order: Number of the order that band, key and slope belong to.
        best_band: Band of the best so far.
        best_key: Its key.

    Returns:
        A stage of the same model, -1 when the rest holds nothing sooner.
    """
    while stage >= 0:
        block = int(view.ready_block[e, stage])
        at, noted = view.blocks[e, block], view.block_notes[e, block]
        known = int(noted.order) == order and int(noted.version) == int(at.version)
        is_new = not known or float(noted.until_s) < now_s(view, e)
        if is_new:
            _note(view, oracle, e, block, band, key, until, slope, order)
        if _may_be_sooner(view, e, block, slope, best_band, best_key):
            if is_new or stage != int(at.first):
                return stage
            # The bound may be old: stages have left, and most keys rise faster than by the slope.
            _note(view, oracle, e, block, band, key, until, slope, order)
            if _may_be_sooner(view, e, block, slope, best_band, best_key):
                return stage
        stage = int(view.blocks[e, at.next].first) if int(at.next) >= 0 else -1
    return -1


@njit
def _may_be_sooner(view: View, e: int, block: int, slope: float, best_band: int, best_key: float) -> bool:
    """Whether the bound of a block lies before the best so far."""
    noted = view.block_notes[e, block]
    added = slope * now_s(view, e)
    bound = float(noted.least_key) + added
    margin = _ROUNDING * (1.0 + abs(added) + abs(best_key))
    return is_sooner(int(noted.least_band), bound - margin, best_band, best_key)


@njit
def _note(
    view: View,
    oracle: Hidden,
    e: int,
    block: int,
    band: Callable[..., int],
    key: Callable[..., float],
    until: Callable[..., float],
    slope: float,
    order: int,
) -> None:
    """Look at all stages of a block and note the bound."""
    at = view.blocks[e, block]
    least_band, least_key, until_s = 1 << 30, math.inf, math.inf
    stage = int(at.first)
    for _ in range(at.members):
        its_band, its_key = band(view, e, stage), key(view, oracle, e, stage)
        if is_sooner(its_band, its_key, least_band, least_key):
            least_band, least_key = its_band, its_key
        until_s = min(until_s, until(view, e, stage))
        stage = int(view.ready_next[e, stage])
    noted = view.block_notes[e, block]
    noted.least_band = least_band
    noted.least_key = least_key - slope * now_s(view, e)
    noted.until_s = until_s
    noted.version = at.version
    noted.order = order
