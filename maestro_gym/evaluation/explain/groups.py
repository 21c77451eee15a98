"""Decisions and workflows in groups that a reader can name: quarters of a quantity, popularity of models, minutes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

POPULARITY_SHARES = (0.5, 0.9)
"""Popular models are the fewest that get half of all calls; rare ones are beyond those that get nine tenths."""

POPULARITY_NAMES = ("popular models", "middling models", "rare models")

MOST_PERIODS = 12
"""Groups of arrival times at most; each is a whole number of minutes."""


class Grouping(NamedTuple):
    """A partition of things.

    Attributes:
        by: What they are grouped by.
        names: Of the groups, in their order.
        places: int, one for each thing: its group, -1 for none.
    """

    by: str
    names: tuple[str, ...]
    places: np.ndarray


def quarters(by: str, unit: str, values: np.ndarray) -> Grouping:
    """Group by quarters of a quantity; equal values stay together, so that there may be fewer groups.

    Args:
        by: Name of the quantity.
        unit: Of its values, in the names of the groups.
        values: float, one for each thing; one that is not finite belongs to no group.
    """
    known = np.isfinite(values)
    places = np.full(len(values), -1)
    if not known.any():
        return Grouping(by, (), places)
    edges = np.unique(np.quantile(values[known], (0.25, 0.5, 0.75)))
    _, places[known] = np.unique(np.searchsorted(edges, values[known], side="left"), return_inverse=True)
    parts = [values[places == group] for group in range(int(places.max()) + 1)]
    return Grouping(by, tuple(_span(part.min(), part.max(), unit) for part in parts), places)


def _span(low: float, high: float, unit: str) -> str:
    first, last = (f"{value:.3g}" for value in (low, high))
    return f"{first} {unit}" if first == last else f"{first} to {last} {unit}"


def popularity_of(popularity: np.ndarray) -> np.ndarray:
    """The place in `POPULARITY_NAMES` of each model.

    Args:
        popularity: float, shape (models,), expected share of the calls.
    """
    order = np.argsort(-popularity, kind="stable")
    before = np.cumsum(popularity[order]) - popularity[order]
    places = np.empty(len(popularity), int)
    # What lies before a model decides, so that the one that crosses a bound still belongs to its group.
    places[order] = np.searchsorted(POPULARITY_SHARES, before / max(float(popularity.sum()), 1e-12), side="right")
    return places


def periods(arrival_s: np.ndarray, horizon_s: float) -> Grouping:
    """Group by time of arrival, in whole minutes.

    Args:
        arrival_s: float, one for each workflow.
        horizon_s: End of the arrivals.
    """
    minutes = max(1, math.ceil(horizon_s / 60.0))
    width = math.ceil(minutes / MOST_PERIODS)
    count = math.ceil(minutes / width)
    names = tuple(f"minute {width * k} to {width * (k + 1)}" for k in range(count))
    return Grouping("arrival", names, np.minimum((arrival_s // (60.0 * width)).astype(int), count - 1))


def named(by: str, names: Sequence[str], places: np.ndarray) -> Grouping:
    """Group by what has names already; groups without a member are left out."""
    present = [group for group in range(len(names)) if (places == group).any()]
    moved = np.full(len(names) + 1, -1)
    moved[present] = range(len(present))
    return Grouping(by, tuple(names[group] for group in present), moved[places])
