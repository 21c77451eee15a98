"""What a search moves: numbers of a family and limits of engines, as a point of the unit cube.

A row is what a point stands for: all numbers of the family, then the level of each knob.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maestro_gym.baselines.shaped.file import NumbersFile, read_numbers, values_of
from maestro_gym.config import ScenarioConfig, hint
from maestro_gym.config.files import find_config
from maestro_gym.config.search import KnobConfig, SearchConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.scheduling.numbers import Family

DEFAULTS = "defaults"
"""Word of `SearchConfig.start` for the family's defaults."""

_INSIDE = 0.02
"""A search begins at least this far from the ends of a range, as a share of it."""

_LEAST_STEP = 0.3
"""A knob keeps steps of this many levels, so that a search whose steps shrink still tries its neighbours."""


class Space:
    """The numbers and knobs of one search.

    Attributes:
        family: Whose numbers they are.
        names: What is searched: numbers, then places of limits.
        start: Where the search begins, shape (dimensions,), inside the unit cube.
        spreads: Standard deviations of its first steps, shape (dimensions,).
        least: Standard deviations that its steps never fall below, shape (dimensions,).
    """

    def __init__(self, family: Family, config: SearchConfig, scenario: ScenarioConfig) -> None:
        """Say what is searched.

        Args:
            family: The family.
            config: Settings of the search.
            scenario: Its first place, whose limits say where knobs begin.

        Raises:
            MaestroError: A number, part or limit does not exist, or too little is left to search.
        """
        self.family = family
        self._knobs = config.knobs
        begun = None
        if config.start is not None and config.start != DEFAULTS:
            begun = read_numbers(find_config("policies", config.start, "search.start"))
        fixed = values_of(family, config.fixed, "search.fixed")
        self._base = np.array(values_of(family, begun.numbers if begun else {}, str(config.start)))
        for name in config.fixed:
            self._base[family.names.index(name)] = fixed[family.names.index(name)]
        self._places = _searched(family, config)
        self.names = [*(family.names[place] for place in self._places), *(knob.path for knob in self._knobs)]
        if len(self.names) < 2:
            raise MaestroError(
                f"search: {len(self.names)} numbers are left to search, and CMA-ES needs two; name more of them in "
                "numbers, or fix fewer."
            )
        start, spreads = [], []
        for place in self._places:
            number = family.numbers[place]
            value = self._base[place] if config.start is not None or number.start is None else number.start
            start.append((value - number.low) / (number.high - number.low))
            spreads.append(number.spread)
        for knob in self._knobs:
            start.append((_level(knob, begun, scenario) + 0.5) / len(knob.levels))
            spreads.append(knob.spread)
        self.start = np.clip(start, _INSIDE, 1.0 - _INSIDE)
        self.spreads = np.array(spreads) * config.spread
        self.least = np.array([0.0] * len(self._places) + [_LEAST_STEP / len(knob.levels) for knob in self._knobs])

    def row(self, point: np.ndarray) -> np.ndarray:
        """What a point stands for, float64, shape (numbers + knobs,)."""
        values = self._base.copy()
        for place, share in zip(self._places, point, strict=False):
            number = self.family.numbers[place]
            values[place] = number.low + float(share) * (number.high - number.low)
        shares = zip(self._knobs, point[len(self._places) :], strict=True)
        levels = [min(len(knob.levels) - 1, int(share * len(knob.levels))) for knob, share in shares]
        return np.array([*values, *levels])

    def default_row(self, scenario: ScenarioConfig) -> np.ndarray:
        """The row of the family's defaults, and of the levels next to a scenario's limits."""
        return np.array([*self.family.defaults(), *(_level(knob, None, scenario) for knob in self._knobs)])

    def in_view(self, row: np.ndarray) -> tuple[float, ...]:
        """What ``view.numbers`` shall hold."""
        return self.family.in_view(row[: len(self._base)].tolist())

    def values(self, row: np.ndarray) -> list[float]:
        """All numbers of the family."""
        return row[: len(self._base)].tolist()

    def knobs(self, row: np.ndarray) -> dict[str, int | float]:
        """Limits of engines by their place in a scenario."""
        levels = row[len(self._base) :]
        return {knob.path: knob.levels[int(level)] for knob, level in zip(self._knobs, levels, strict=True)}

    def limits(self, row: np.ndarray) -> tuple[str, ...]:
        """The same as overrides of a scenario."""
        return tuple(f"{path}={value}" for path, value in self.knobs(row).items())

    def searched(self, row: np.ndarray) -> dict[str, float]:
        """What is searched, by name."""
        values = [float(row[place]) for place in self._places]
        return dict(zip(self.names, [*values, *self.knobs(row).values()], strict=True))


def _searched(family: Family, config: SearchConfig) -> list[int]:
    """Places of the numbers that move, in order: those that are named, singly or by part, but for the fixed ones."""
    names, chosen = family.names, set()
    for word in config.numbers:
        if word in family.parts:
            chosen |= {place for place in family.parts[word] if names[place] not in config.fixed}
        elif word in names and word not in config.fixed:
            chosen.add(names.index(word))
        elif word in names:
            raise MaestroError(f"search: `{word}` stands in numbers and in fixed; it is either searched or held.")
        else:
            known = [*names, *family.parts]
            raise MaestroError(f"search.numbers: the {family.name} family has no number `{word}`. {hint(word, known)}")
    everything = [place for place, name in enumerate(names) if name not in config.fixed]
    return sorted(chosen) if config.numbers else everything


def _level(knob: KnobConfig, begun: NumbersFile | None, scenario: ScenarioConfig) -> int:
    """The level next to what a search begins with: that of its policy file, or else the scenario's."""
    field = knob.path.partition(".")[2]
    known: Sequence[str] = list(type(scenario.limits).model_fields)
    if field not in known:
        raise MaestroError(f"search.knobs: there is no limit `{knob.path}`. {hint(field, known)}")
    value = begun.knobs.get(knob.path) if begun is not None else None
    value = getattr(scenario.limits, field) if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MaestroError(f"search.knobs: {knob.path} is {value!r} in the scenario, and only numbers are searched.")
    return int(np.argmin([abs(level - value) for level in knob.levels]))
