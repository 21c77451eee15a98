"""Laws of lengths and times: a clipped lognormal, or a table of quantiles, as compiled code reads them.

Both are drawn from a standard normal score, so that the draws of one job can be made to agree: a job's
own effect and the call's own chance add up to the score (a Gaussian copula), which leaves the law of
every single draw as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from maestro_gym.config import StrictModel
from maestro_gym.config.bounds import Change
from maestro_gym.core.compile import njit
from maestro_gym.workloads.applications.spec import Law

LAW_ROW = np.dtype(
    [
        ("median", "f8"),
        ("sigma", "f8"),
        ("low", "f8"),
        ("high", "f8"),
        ("start", "i8"),  # first entry in the tables of levels and values
        ("count", "i8"),  # 0: lognormal
    ]
)

FITTED_LEVELS = (0.0, 0.01, 0.02, *(round(0.05 * i, 2) for i in range(1, 20)), 0.98, 0.99, 1.0)
"""Levels at which a fitted law keeps its quantiles, before those that lie on a line are left out."""


Level = Annotated[float, Field(strict=False, ge=0, le=1)]
"""Of a quantile; a key of JSON is a word."""


class QuantileLaw(StrictModel):
    """A law given by quantiles, linear between them: it follows data that no simple formula does."""

    quantiles: dict[Level, Change] = Field(
        min_length=1, description="level in [0, 1] -> value in the unit of the field"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        levels, values = list(self.quantiles), list(self.quantiles.values())
        if levels != sorted(levels):
            raise ValueError(f"the levels of a law's quantiles ascend, got {levels}")
        if any(after < before for before, after in pairwise(values)):
            raise ValueError(f"the values of a law's quantiles must not fall, got {values}")
        return self


def _kind_of_law(value: object) -> str:
    return (
        "quantiles" if isinstance(value, QuantileLaw) or (isinstance(value, dict) and "quantiles" in value) else "law"
    )


AnyLaw = Annotated[Annotated[Law, Tag("law")] | Annotated[QuantileLaw, Tag("quantiles")], Discriminator(_kind_of_law)]
"""What a family file may write where a law is asked for."""


def fit_quantiles(sample: np.ndarray, tolerance: float = 0.005) -> QuantileLaw:
    """Keep the quantiles of a sample, without those that linear interpolation gives back.

    Args:
        sample: Shape (n,), n at least 1.
        tolerance: How far an interpolated value may lie from a quantile that is left out, relative to it;
            half a unit always may.

    Returns:
        The law.
    """
    sample = np.asarray(sample, np.float64)
    levels = np.array(FITTED_LEVELS)
    values = np.quantile(sample, levels)
    if np.array_equal(sample, np.round(sample)):
        values = np.round(values)
        slack = np.maximum(0.5, tolerance * np.abs(values))
    else:
        values = np.array([float(f"{value:.4g}") for value in values])
        slack = tolerance * np.abs(values)
    kept = [0]
    while kept[-1] < len(levels) - 1:
        start = kept[-1]
        end = len(levels) - 1
        while end > start + 1:
            between = slice(start + 1, end)
            line = np.interp(levels[between], levels[[start, end]], values[[start, end]])
            if np.all(np.abs(line - values[between]) <= slack[between]):
                break
            end -= 1
        kept.append(end)
    return QuantileLaw(quantiles={float(levels[i]): float(values[i]) for i in kept})


class LawTables:
    """Gathers laws into arrays; a law's row is how compiled code names it."""

    def __init__(self) -> None:
        """Begin with no law."""
        self._rows: list[tuple[float, ...]] = []
        self._levels: list[float] = []
        self._values: list[float] = []

    def add(self, law: AnyLaw | None) -> int:
        """Take a law in.

        Args:
            law: The law; None: there is none.

        Returns:
            Its row, -1 for none.
        """
        if law is None:
            return -1
        if isinstance(law, QuantileLaw):
            self._rows.append((0.0, 0.0, 0.0, 0.0, len(self._levels), len(law.quantiles)))
            self._levels += list(law.quantiles)
            self._values += list(law.quantiles.values())
        else:
            self._rows.append((law.median, law.sigma, law.low, law.high, 0, 0))
        return len(self._rows) - 1

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return LAW_ROW records, and float64 levels and values."""
        return (
            np.array([tuple(row) for row in self._rows], LAW_ROW),
            np.array(self._levels, np.float64),
            np.array(self._values, np.float64),
        )


@njit
def draw_law(laws: np.ndarray, levels: np.ndarray, values: np.ndarray, row: int, score: float) -> float:
    """Turn a standard normal score into a draw of a law.

    Args:
        laws: LAW_ROW records.
        levels: float64, of all tables of quantiles.
        values: float64, likewise.
        row: The law; below 0: the draw is 0.
        score: The standard normal score.

    Returns:
        The draw.
    """
    if row < 0:
        return 0.0
    law = laws[row]
    if law.count == 0:
        if law.sigma == 0.0 or law.median == 0.0:
            return law.median
        return min(max(law.median * math.exp(law.sigma * score), law.low), law.high)
    level = 0.5 * math.erfc(-score / math.sqrt(2.0))
    at = law.start
    end = law.start + law.count - 1
    if level <= levels[at]:
        return float(values[at])
    while at < end and levels[at + 1] < level:
        at += 1
    if at == end:
        return float(values[end])
    span = levels[at + 1] - levels[at]
    return float(values[at] + (values[at + 1] - values[at]) * (level - levels[at]) / span)


def law_quantile(law: AnyLaw, level: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return quantiles of a law.

    Args:
        law: The law.
        level: Levels in (0, 1).

    Returns:
        float64, shape (levels,).
    """
    from scipy.special import ndtri

    level = np.asarray(level, np.float64)
    if isinstance(law, QuantileLaw):
        return np.interp(level, list(law.quantiles), list(law.quantiles.values()))
    if law.sigma == 0 or law.median == 0:
        return np.full(level.shape, law.median)
    return np.clip(law.median * np.exp(law.sigma * ndtri(level)), law.low, law.high)
