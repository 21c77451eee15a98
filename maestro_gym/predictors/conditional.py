"""Statistics of past samples by key, backing off to coarser keys where samples are few (Maestro F5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

MIN_SAMPLES = 20
"""A key with fewer samples hands over to the next coarser one (a choice; the paper gives 50 for its regressor)."""

_EXACT = 8  # counts below it are told apart one by one, above it two bins an octave


class ConditionalTable(NamedTuple):
    """What is known by key; one level a coarseness, the finest first. K kept keys, V statistics.

    Attributes:
        codes: int64, shape (K,), of each level; ascending.
        rows: float64, shape (K, V), of each level; nan is not known, and a coarser level is asked.
    """

    codes: tuple[np.ndarray, ...]
    rows: tuple[np.ndarray, ...]

    def look_up(self, keys: Sequence[np.ndarray]) -> np.ndarray:
        """Find every stage's statistics, the finest key that is known first.

        Args:
            keys: int64, shape (S,), of each level.

        Returns:
            float64, shape (S, V).
        """
        found = np.full((len(keys[0]), self.rows[-1].shape[1]), np.nan)
        for codes, rows, wanted in reversed(list(zip(self.codes, self.rows, keys, strict=True))):
            if len(codes):
                at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
                told = np.where((codes[at] == wanted)[:, None], rows[at], np.nan)
                found = np.where(np.isnan(told), found, told)
        return found


def tabulate(
    keys: Sequence[np.ndarray], summarise: Callable[[np.ndarray], list[float]], min_samples: int = MIN_SAMPLES
) -> ConditionalTable:
    """Work out the statistics of every key.

    Args:
        keys: int64, shape (S,), of each level, the finest first; the coarsest is kept whatever its samples.
        summarise: From the ids of samples to their statistics.
        min_samples: Of a key that is kept.

    Returns:
        The table.
    """
    all_codes: list[np.ndarray] = []
    all_rows: list[np.ndarray] = []
    width = len(summarise(np.arange(len(keys[0]))))
    for level, of_samples in enumerate(keys):
        order = np.argsort(of_samples, kind="stable")
        codes, starts = np.unique(of_samples[order], return_index=True)
        groups = np.split(order, starts[1:])
        least = min_samples if level < len(keys) - 1 else 1
        kept = [index for index, group in enumerate(groups) if len(group) >= least]
        all_codes.append(codes[kept])
        all_rows.append(np.array([summarise(groups[index]) for index in kept]).reshape(len(kept), width))
    return ConditionalTable(tuple(all_codes), tuple(all_rows))


def known_quantile(values: np.ndarray, quantile: float) -> float:
    """Quantile of the values that are known; nan if none is."""
    known = values[~np.isnan(values)]
    return float(np.quantile(known, quantile)) if len(known) else float("nan")


def stage_keys(role: np.ndarray, invocation: np.ndarray, depth: np.ndarray) -> list[np.ndarray]:
    """Number the keys of stages, from fine to coarse.

    Args:
        role: int64, shape (S,).
        invocation: int64, shape (S,): earlier calls of the role in the workflow.
        depth: int64, shape (S,): the stage's place in the workflow's template.

    Returns:
        int64, shape (S,) each: by role, invocation and depth; by role and invocation; by role; all alike.
    """
    return [
        (role * 64 + _bin(invocation)) * 64 + _bin(depth),
        role * 64 + _bin(invocation),
        role.copy(),
        np.zeros(len(role), np.int64),
    ]


def _bin(count: np.ndarray) -> np.ndarray:
    octaves = np.log2(np.maximum(count, _EXACT) / _EXACT)
    return np.where(count < _EXACT, count, np.minimum(_EXACT + (2 * octaves).astype(np.int64), 63)).astype(np.int64)
