"""Predictors that a reviewer would hold Maestro's against; they are studied, not scheduled by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from maestro_gym.predictors import BoostedPredictor, Design, Guess, RoleMedianPredictor, Samples
from maestro_gym.predictors.boosting import SHARED, fit_quantile
from maestro_gym.predictors.features import COLUMN, GROUPS

Predict = Callable[[np.ndarray], Guess]
"""From the features of S stages to a guess; nan where a rival says nothing."""

_KNOWN_TO_MAGNUS = ("application", "prompt_tokens")
_FOREST_TREES = 100
_FOREST_LEAF = 5


def two_stage(history: Samples) -> Predict:
    """Maestro's two stages."""
    return BoostedPredictor(history).predict


def one_stage(history: Samples) -> Predict:
    """The same regressors without the tool probability: what stage 1 is worth."""
    return BoostedPredictor(history, Design(tool_stage=False)).predict


def role_median(history: Samples) -> Predict:
    """Medians by role, invocation and depth."""
    return RoleMedianPredictor(history).predict


def magnus_like(history: Samples) -> Predict:
    """A random forest on prompt length and application, which is Magnus without its text features.

    Magnus (Cheng et al., "Enabling Efficient Batch Serving for LMaaS via Generation Length Prediction",
    ICWS 2024) regresses on input length and on semantics of application and user; traces without text
    have the application alone.
    """
    from sklearn.ensemble import RandomForestRegressor

    applications = np.unique(history.features[:, COLUMN["application"]])

    def seen(features: np.ndarray) -> np.ndarray:
        which = features[:, COLUMN["application"], None] == applications
        return np.column_stack([features[:, COLUMN["prompt_tokens"]], which])

    forest = RandomForestRegressor(_FOREST_TREES, min_samples_leaf=_FOREST_LEAF, random_state=0, n_jobs=1)
    forest.fit(seen(history.features), history.truth.output_q50_tokens)
    return lambda features: _length_only(forest.predict(seen(features)))


def prompt_median(history: Samples) -> Predict:
    """What Magnus-like knows, fitted to the median as Maestro's regressors are: the loss is not what differs."""
    target = np.log1p(history.truth.output_q50_tokens)
    columns = np.array([COLUMN[name] for name in _KNOWN_TO_MAGNUS])
    levels = [fit_quantile(history.features, target, columns, quantile, SHARED) for quantile in (0.5, 0.9)]
    return lambda features: _length_only(*(np.expm1(ensemble.evaluate(features)) for ensemble in levels))


RIVALS: dict[str, Callable[[Samples], Predict]] = {
    "boosted": two_stage,
    "one_stage": one_stage,
    "role_median": role_median,
    "magnus_like": magnus_like,
    "prompt_median": prompt_median,
}
"""The first is what the others are compared with."""


def without(group: str) -> Callable[[Samples], Predict]:
    """Maestro's two stages without one group of features.

    Args:
        group: A name of ``GROUPS``.
    """
    kept = tuple(name for name in GROUPS if name != group)
    return lambda history: BoostedPredictor(history, Design(groups=kept)).predict


def _length_only(middle: np.ndarray, high: np.ndarray | None = None) -> Guess:
    unknown = np.full(len(middle), np.nan)
    fields = dict.fromkeys(Guess._fields, unknown)
    return Guess(**fields | {"output_q50_tokens": middle, "output_q90_tokens": unknown if high is None else high})
