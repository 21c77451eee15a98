"""Verdicts, by stated rules, from intervals and figures alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from maestro_gym.evaluation.reproduce.claims import Claim
from maestro_gym.evaluation.statistics import Interval

RULES = """\
A reading **reaches** the figure if the better end of its 95 % interval is at least as good as the figure and, for a
difference, the interval excludes zero. It **falls short** if it is a level, or a difference that excludes zero on the
claimed side, and does not reach the figure. There is **none seen** if the interval of a difference holds zero and not
the figure; it is **not told** if it holds both, or if the seeds are too few for an interval; it goes **the other way**
if it excludes zero on the other side. Where no figure is known, any difference on the claimed side reaches it.

A claim **holds** if every reading of it that was told reaches the figure. It **holds if** certain assumptions are made,
which are named, if some do, in the tables or in the sweeps. Otherwise it **does not hold**, and where no reading was
told it **cannot be told**."""
"""The rules, in words for the page."""


POINT = " at "
"""What parts the words of a column of a sweep from its point."""

_MOST_NAMED = 4

_MOST = 0.5
"""A column that reaches the figure at this share of its points or more does so by its reading, not by a point."""

_FLEET = "; `"
"""What parts the words of a reading from the fleet that it was taken on."""


class Outcome(StrEnum):
    """What one interval says of a claim."""

    REACHES = "reaches"
    SHORT = "falls short"
    NONE = "none seen"
    OPPOSITE = "the other way"
    NOT_TOLD = "not told"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Verdict:
    """What all readings say of a claim.

    Attributes:
        word: "holds", "holds if", "does not hold" or "cannot be told".
        because: Under which assumptions, or how far from it.
    """

    word: str
    because: str

    @property
    def words(self) -> str:
        """Both in a clause."""
        return f"{self.word} {self.because}"


def outcome_of(claim: Claim, interval: Interval, *, is_level: bool) -> Outcome:
    """Hold an interval against the figure of a claim.

    Args:
        claim: The claim.
        interval: What was measured, in the claim's unit.
        is_level: Whether it is a level, of which zero is nothing special, and no difference.
    """
    if not math.isfinite(interval.estimate):
        return Outcome.NOT_MEASURED
    if not math.isfinite(interval.low):
        return Outcome.NOT_TOLD
    sign = 1.0 if claim.direction == "higher" else -1.0
    worse, better = sorted((sign * interval.low, sign * interval.high))
    figure = 0.0 if claim.figure is None else sign * claim.figure
    reaches = better >= figure
    if is_level:
        return Outcome.REACHES if reaches else Outcome.SHORT
    if worse > 0.0:
        return Outcome.REACHES if reaches else Outcome.SHORT
    if better < 0.0:
        return Outcome.OPPOSITE
    return Outcome.NOT_TOLD if reaches and claim.figure is not None else Outcome.NONE


def judge(readings: Sequence[tuple[str, Outcome]], swept: Sequence[tuple[str, Outcome]] = ()) -> Verdict:
    """Make a verdict of outcomes.

    Args:
        readings: Words of each reading, and what it says.
        swept: The same of what was looked at in sweeps.
    """
    unknown = (Outcome.NOT_MEASURED, Outcome.NOT_TOLD)
    told = [(words, outcome) for words, outcome in readings if outcome not in unknown]
    reached = [words for words, outcome in told if outcome is Outcome.REACHES]
    also = [words for words, outcome in swept if outcome is Outcome.REACHES]
    if not told:
        return Verdict("cannot be told", "with what was measured")
    points = [words for words, _ in swept]
    if len(reached) == len(told):
        return Verdict("holds", f"under all {len(told)} readings" if len(told) > 1 else "under the one reading")
    if reached:
        partly = _here_and_there(points, also)
        tail = f"; in the sweeps also {_listed(partly)}" if partly else ""
        return Verdict("holds if", f"read {_joined(reached, [words for words, _ in told])}{tail}")
    if also:
        return Verdict("holds if", f"as in the sweeps {_listed(_everywhere(points, also))}")
    right = sum(outcome is Outcome.SHORT for _, outcome in told)
    wrong = sum(outcome is Outcome.OPPOSITE for _, outcome in told)
    tail = f"falls short in {right} of {len(told)} readings" if right else "has no reading on the claimed side"
    tail += f", goes the other way in {wrong}" if wrong else ""
    return Verdict("does not hold", f"and {tail}")


def _everywhere(swept: Sequence[str], reached: Sequence[str]) -> list[str]:
    """Where in the sweeps the figure is reached; a column that reaches it at every point is named once."""
    return _named(swept, reached, lambda share: f"{POINT}every point" if share == 1.0 else "")


def _here_and_there(swept: Sequence[str], reached: Sequence[str]) -> list[str]:
    """Where in the sweeps a column reaches the figure that does not at most of its points."""
    return _named(swept, reached, lambda share: None if share >= _MOST else "")


def _named(swept: Sequence[str], reached: Sequence[str], tail_of: Callable[[float], str | None]) -> list[str]:
    columns = [words.partition(POINT)[0] for words in swept]
    own = [words.partition(POINT)[0] for words in reached]
    named = []
    for words, column in zip(reached, own, strict=True):
        tail = tail_of(own.count(column) / columns.count(column))
        if tail is not None:
            named.append(f"{column}{tail}" if tail else words)
    return list(dict.fromkeys(named))


def _listed(named: Sequence[str]) -> str:
    more = f" and at {len(named) - _MOST_NAMED} more points" if len(named) > _MOST_NAMED else ""
    return f"{', '.join(named[:_MOST_NAMED])}{more}"


def _joined(words: Sequence[str], told: Sequence[str]) -> str:
    """Readings in a row; where one is reached on both fleets, it is named once."""
    stems = [word.partition(_FLEET)[0] for word in told]
    reached = [word.partition(_FLEET)[0] for word in words]
    named = [
        stem if 1 < stems.count(stem) == reached.count(stem) else word
        for stem, word in zip(reached, words, strict=True)
    ]
    return "; or ".join(dict.fromkeys(named))
