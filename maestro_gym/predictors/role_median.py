"""Medians of history by role, backing off to coarser keys where samples are few (Maestro F5)."""

from __future__ import annotations

import numpy as np

from maestro_gym.predictors.predictor import Guess
from maestro_gym.predictors.truth import true_guess
from maestro_gym.schema import Episode

MIN_SAMPLES = 20
"""A key with fewer samples hands over to the next coarser one (a choice; the paper gives 50 for its regressor)."""

_BINS = 8  # invocation index and depth are told apart up to here
_FIELDS = Guess._fields


def _codes(episode: Episode, level: int) -> np.ndarray:
    """Number the key of every stage at a level: 0 role, invocation and depth; 1 role and invocation; 2 role; 3 all."""
    stages = episode.stages
    invocation = np.minimum(stages["invocation_index"], _BINS - 1)
    depth = np.minimum(stages["depth"], _BINS - 1)
    if level == 0:
        return (stages["role"] * _BINS + invocation) * _BINS + depth
    if level == 1:
        return stages["role"] * _BINS + invocation
    return stages["role"] if level == 2 else np.zeros(len(stages), np.int64)


class RoleMedianPredictor:
    """Knows, for every role and invocation, the medians of past workflows."""

    def __init__(self, history: Episode, service: np.ndarray) -> None:
        """Learn from past workflows.

        Args:
            history: an episode of the training split, at least one stage.
            service: SERVICE, shape (num_models,).
        """
        truth = true_guess(history, service)
        self._levels: list[tuple[np.ndarray, np.ndarray]] = []
        for level in range(4):
            codes, groups = np.unique(_codes(history, level), return_inverse=True)
            counts = np.bincount(groups)
            kept = np.flatnonzero(counts >= (MIN_SAMPLES if level < 3 else 1))
            rows = np.array([self._summary(truth, groups == group) for group in kept]).reshape(-1, len(_FIELDS))
            self._levels.append((codes[kept], rows))

    @staticmethod
    def _summary(truth: Guess, chosen: np.ndarray) -> list[float]:
        """Summarise the chosen stages of history, one value a field of Guess."""
        return [
            float(values[chosen].mean())
            if name == "tool_probability"
            # The paper's margin lives in the budget, so q50 is the plain median.
            else float(np.quantile(values[chosen], 0.9 if "q90" in name else 0.5))
            for name, values in zip(_FIELDS, truth, strict=True)
        ]

    def guess(self, episode: Episode, service: np.ndarray, key: int) -> Guess:
        """Look every stage up, finest key first; see ``Predictor.guess``."""
        del service, key
        rows = np.empty((len(episode.stages), len(_FIELDS)))
        for level in (3, 2, 1, 0):
            known, table = self._levels[level]
            if len(known) == 0:
                continue
            codes = _codes(episode, level)
            at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
            found = known[at] == codes
            rows[found] = table[at[found]]
        return Guess(*rows.T)
