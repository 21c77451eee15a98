"""Medians of history by role, backing off to coarser keys where samples are few (Maestro F5)."""

from __future__ import annotations

from typing import Self

import numpy as np

from maestro_gym.predictors.conditional import known_quantile, stage_keys, tabulate
from maestro_gym.predictors.features import COLUMN, stage_features
from maestro_gym.predictors.predictor import Guess
from maestro_gym.predictors.samples import Samples, samples_of
from maestro_gym.state import Episode


class RoleMedianPredictor:
    """Knows, for every role and invocation, the medians of past workflows."""

    def __init__(self, history: Samples) -> None:
        """Learn from past workflows.

        Args:
            history: Stages of the training split, at least one, of at least one finished workflow.
        """
        self._history = history
        self._table = tabulate(_keys(history.features), self._summary)

    def _summary(self, chosen: np.ndarray) -> list[float]:
        """Summarise the chosen stages of history, one value a field of Guess."""
        return [
            float(values[chosen].mean())
            if name == "tool_probability"
            # The paper's margin lives in the budget, so q50 is the plain median.
            else known_quantile(values[chosen], 0.9 if "q90" in name else 0.5)
            for name, values in self._history.truth._asdict().items()
        ]

    def guess(self, episode: Episode, service: np.ndarray, key: int) -> Guess:
        """Look every stage up, finest key first; see ``Predictor.guess``."""
        del service, key
        return self.predict(stage_features(episode))

    def predict(self, features: np.ndarray) -> Guess:
        """Predict from what is known of stages.

        Args:
            features: float64, shape (S, len(FEATURES)), from ``stage_features``.

        Returns:
            The guess, by stage.
        """
        return Guess(*self._table.look_up(_keys(features)).T)

    def learn(self, episode: Episode, service: np.ndarray, finished: np.ndarray) -> Self:
        """Learn from a past episode too; see ``Learner.learn``."""
        return type(self)(self._history.join(samples_of(episode, service, finished)))


def _keys(features: np.ndarray) -> list[np.ndarray]:
    return stage_keys(*(features[:, COLUMN[name]].astype(np.int64) for name in ("role", "invocation_index", "depth")))
