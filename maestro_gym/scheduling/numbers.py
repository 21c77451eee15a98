"""Numbers that a policy is given from outside: how they are declared, and where rules read them.

A family is a list of `Number` and the rules that read them by ``view.number(view, e, PLACE)``. A rule of a user's
declares its own, and has their places from `places`:

    NUMBERS = (Number("load", "1/s", 0, 4, 1, "Cost for each second of work at the node."),)
    (LOAD,) = places(NUMBERS)
    RULE = route_by(cost, numbers=NUMBERS, ...)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from maestro_gym.core.errors import MaestroError
from maestro_gym.state import NUMBERS

FIRST_OWN = 32
"""Place of the first number of a rule; those before it are the levers that late binding reads under every policy."""


@dataclass(frozen=True)
class Number:
    """One number of a family.

    Attributes:
        name: In files and tables.
        unit: Of its value.
        low: Least value of a search.
        high: Greatest value of a search.
        default: What the policy has without a search.
        meaning: What it does, in one sentence.
        start: Where a search begins; None at the default.
        spread: Standard deviation of a search's first steps, as a share of the range.
    """

    name: str
    unit: str
    low: float
    high: float
    default: float
    meaning: str
    start: float | None = None
    spread: float = 0.15

    def __post_init__(self) -> None:
        """Refuse what no search could move."""
        if not (self.low < self.high and math.isfinite(self.high - self.low) and math.isfinite(self.default)):
            raise MaestroError(
                f"number `{self.name}`: low ({self.low}) must be below high ({self.high}), and all three of low, high "
                f"and default ({self.default}) finite."
            )
        if self.spread <= 0:
            raise MaestroError(f"number `{self.name}`: spread ({self.spread}) must be above 0.")


def places(numbers: Sequence[Number]) -> range:
    """Places of a rule's own numbers in ``view.numbers``, in their order: constants for its compiled code."""
    return range(FIRST_OWN, FIRST_OWN + len(numbers))


@dataclass(frozen=True)
class Family:
    """The numbers that a policy reads.

    Attributes:
        name: What loads the policy with its defaults, also in files of numbers.
        numbers: All of them, in the order of their places.
        first: Place of the first in ``view.numbers``.
        parts: Numbers that belong together, by what they are about: where they stand in ``numbers``.
    """

    name: str
    numbers: tuple[Number, ...]
    first: int = FIRST_OWN
    parts: Mapping[str, range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no list of numbers, or has no room in the view."""
        for number in self.numbers:
            if not isinstance(number, Number):
                raise MaestroError(
                    f"{self.name}: numbers holds {number!r}; it must be a tuple of scheduling.numbers.Number."
                )
        for name, count in Counter(number.name for number in self.numbers).items():
            if count > 1:
                raise MaestroError(f"{self.name}: {count} numbers are called `{name}`; names must differ.")
        room = NUMBERS - self.first
        if len(self.numbers) > room:
            raise MaestroError(f"{self.name}: {len(self.numbers)} numbers, but a policy has room for {room}.")

    @property
    def names(self) -> list[str]:
        """Names of the numbers, in order."""
        return [number.name for number in self.numbers]

    def defaults(self) -> tuple[float, ...]:
        """The default of every number."""
        return tuple(float(number.default) for number in self.numbers)

    def in_view(self, values: Sequence[float]) -> tuple[float, ...]:
        """What ``Policy.numbers`` must be for these values: 0 at the places before the family's own."""
        return (*(0.0,) * self.first, *map(float, values))
