"""Bounds on blocks of ready stages: an order passes over blocks that hold nothing sooner than what it has.

An order notes of a block its least band and key. Keys move with time, but an order knows how slowly they rise or how
fast they fall (its slope, `rules.Order`): what it noted, moved by the slope, stays a bound below all keys of the block
while stages leave it, until a stage joins it, a stage of one of their workflows finishes, or an instant comes that the
order knows too. Beside it stands from when one of the block may be pressing: where nodes are open to pressing stages
alone, blocks without one are passed over too. So a decision looks at a few stages of a long queue, and decides what a
walk along all of it decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from maestro_gym.baselines.late_binding.holds import takes_kept_places_from_s
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.order import is_sooner
from maestro_gym.scheduling.view import now_s
from maestro_gym.state import Hidden, View

_ROUNDING: Final = 1e-9
"""By which part a bound may lie beyond what it bounds, as sums of times round; far above double precision."""


class Keys(NamedTuple):
    """An order as compiled code hands it on.

    Attributes:
        band: Of a stage, handed over by ``scheduling.rules.as_band``.
        key: Of a stage, handed over by ``scheduling.rules.as_key``.
        until: Until when the key of a stage keeps to the slope, handed over by ``scheduling.rules.as_until``.
        slope: Least change of a key in a second, -inf when the order knows none: then every key is looked at.
        number: Of the order.
    """

    band: Callable[..., int]
    key: Callable[..., float]
    until: Callable[..., float]
    slope: float
    number: int


@njit
def first_promising(
    view: View, oracle: Hidden, e: int, stage: int, keys: Keys, pressing: bool, best_band: int, best_key: float
) -> int:
    """The first stage, from one on, of a block that may hold something sooner than the best so far.

    Args:
        view: What a scheduler sees, with lists of ready stages.
        oracle: The true future, empty but for oracle policies.
        e: Environment.
        stage: A ready stage, or -1.
        keys: The order, with a slope.
        pressing: Whether only pressing stages can leave.
        best_band: Band of the best so far.
        best_key: Its key, inf while there is none.

    Returns:
        A stage of the same model, -1 when the rest holds nothing sooner.
    """
    while stage >= 0:
        block = int(view.ready_block[e, stage])
        at, noted = view.blocks[e, block], view.block_notes[e, block]
        known = int(noted.order) == keys.number and int(noted.version) == int(at.version)
        is_new = not known or float(noted.until_s) < now_s(view, e)
        if is_new:
            _note(view, oracle, e, block, keys)
        if _promises(view, e, block, keys.slope, pressing, best_band, best_key):
            if is_new or stage != int(at.first):
                return stage
            # The bound may be old: stages have left, and most keys rise faster than by the slope.
            _note(view, oracle, e, block, keys)
            if _promises(view, e, block, keys.slope, pressing, best_band, best_key):
                return stage
        stage = int(view.blocks[e, at.next].first) if int(at.next) >= 0 else -1
    return -1


@njit
def _promises(view: View, e: int, block: int, slope: float, pressing: bool, best_band: int, best_key: float) -> bool:
    """Whether the bound of a block lies before the best so far, and one of it is pressing where it must be."""
    noted, time_s = view.block_notes[e, block], now_s(view, e)
    if pressing and float(noted.pressing_s) > time_s + _ROUNDING * (1.0 + time_s):
        return False
    if best_key == math.inf:
        return True
    added = slope * time_s
    bound = float(noted.least_key) + added
    margin = _ROUNDING * (1.0 + abs(added) + abs(best_key))
    return is_sooner(int(noted.least_band), bound - margin, best_band, best_key)


@njit
def _note(view: View, oracle: Hidden, e: int, block: int, keys: Keys) -> None:
    """Look at all stages of a block and note the bounds."""
    at = view.blocks[e, block]
    least_band, least_key, until_s, pressing_s = 1 << 30, math.inf, math.inf, math.inf
    stage = int(at.first)
    for _ in range(at.members):
        its_band, its_key = keys.band(view, e, stage), keys.key(view, oracle, e, stage)
        if is_sooner(its_band, its_key, least_band, least_key):
            least_band, least_key = its_band, its_key
        until_s = min(until_s, keys.until(view, e, stage))
        pressing_s = min(pressing_s, takes_kept_places_from_s(view, e, stage))
        stage = int(view.ready_next[e, stage])
    noted = view.block_notes[e, block]
    noted.least_band = least_band
    noted.least_key = least_key - keys.slope * now_s(view, e)
    noted.until_s = until_s
    noted.pressing_s = pressing_s
    noted.version = at.version
    noted.order = keys.number
