"""How good predictions are: metrics of stages with intervals from a bootstrap over workflows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from maestro_gym.evaluation.statistics import Interval, expanded_level
from maestro_gym.state import Episode

RESAMPLES = 2000
_BATCH = 50
_BINS = 10

Totals = Callable[[np.ndarray], np.ndarray]


class PredictionMetric(NamedTuple):
    """A metric of predictions.

    Attributes:
        unit: Of its value.
        better: ``higher``, ``lower`` or ``neither``.
        formula: What it is, in one line.
    """

    unit: str
    better: str
    formula: str


PREDICTION_METRICS: dict[str, PredictionMetric] = {
    "tool_auc": PredictionMetric("", "higher", "area under the ROC curve of the tool probability, all stages"),
    "tool_auc_offered": PredictionMetric("", "higher", "the same, of the stages that offer tools"),
    "tool_brier": PredictionMetric("", "lower", "mean of (probability - outcome)^2"),
    "tool_ece": PredictionMetric("", "lower", "expected calibration error: |mean probability - rate| over ten bins"),
    "mae_tokens": PredictionMetric("tokens", "lower", "mean of |L - q50|"),
    "r2": PredictionMetric("", "higher", "1 - sum (L - q50)^2 / sum (L - mean L)^2"),
    "pinball_q50_tokens": PredictionMetric("tokens", "lower", "pinball loss at 0.5: half of the MAE"),
    "pinball_q90_tokens": PredictionMetric("tokens", "lower", "mean of max(0.9 (L - q90), 0.1 (q90 - L))"),
    "under_q50": PredictionMetric("", "neither", "share of stages with L > q50; 0.5 is calibrated"),
    "under_q90": PredictionMetric("", "neither", "share of stages with L > q90; 0.1 is calibrated"),
    "remaining_mae_s": PredictionMetric("s", "lower", "mean of |T_rem - its q50|"),
    "remaining_under_q90": PredictionMetric("", "neither", "share of stages with T_rem > q90"),
}
"""L is the true output length, T_rem the true nominal service and gap time left, the stage's own included."""


@dataclass(frozen=True)
class Quality:
    """Metrics of one predictor.

    Attributes:
        values: By metric; nan where the predictor says nothing of it.
        resampled: By metric, float64, shape (RESAMPLES,); the same resamples for every predictor of a trial.
        level: Level of the percentile interval that covers 95 % for so many workflows.
        num_workflows: Workflows that were resampled.
    """

    values: dict[str, float]
    resampled: dict[str, np.ndarray]
    level: float
    num_workflows: int

    def interval(self, metric: str) -> Interval:
        """A metric with its interval."""
        return self._interval(self.values[metric], self.resampled[metric])

    def difference(self, other: Quality, metric: str, *, relative: bool = False) -> Interval:
        """How much a metric differs from another predictor's, paired by workflow.

        Args:
            other: Of the same trial.
            metric: Its name.
            relative: Divide by the other's value.
        """
        gap, gaps = self.values[metric] - other.values[metric], self.resampled[metric] - other.resampled[metric]
        if relative:
            gap, gaps = gap / other.values[metric], gaps / other.resampled[metric]
        return self._interval(gap, gaps)

    def _interval(self, value: float, resampled: np.ndarray) -> Interval:
        known = resampled[np.isfinite(resampled)]
        if not len(known) or self.num_workflows < 2:
            return Interval(value, float("nan"), float("nan"), self.num_workflows)
        low, high = np.quantile(known, [(1 - self.level) / 2, (1 + self.level) / 2])
        return Interval(value, float(low), float(high), self.num_workflows)


def quality_of(episode: Episode, tested: np.ndarray, *, rng_seed: int = 0) -> Quality:
    """Measure an episode's predictions against its truth.

    Whole workflows are resampled: stages of one are not independent of each other.

    Args:
        episode: With predictions.
        tested: bool, shape (num_stages,): stages to look at.
        rng_seed: Seed of the resampling; the same for predictors that are compared.

    Returns:
        The quality.
    """
    owner = np.unique(episode.stages["workflow"][tested], return_inverse=True)[1]
    count = int(owner.max()) + 1
    draws = np.random.default_rng(rng_seed).multinomial(count, np.full(count, 1.0 / count), RESAMPLES)
    weights = np.concatenate([np.ones((1, count)), draws])  # the first row is the sample itself
    found = _measure(episode, tested, owner, weights)
    values = {name: float(of_all[0]) for name, of_all in found.items()}
    level = expanded_level(count) if count > 1 else 0.95
    return Quality(values, {name: of_all[1:] for name, of_all in found.items()}, level, count)


def _measure(episode: Episode, tested: np.ndarray, owner: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric, for every row of the workflows' weights."""
    guess, truth = episode.predictions[tested], episode.hidden[tested]
    called = truth["tool_intent"].astype(float)
    offered = episode.stages["tools_available"][tested] > 0
    length = truth["output_tokens"].astype(float)
    middle, high = guess["output_q50_tokens"], guess["output_q90_tokens"]
    left_s = truth["remaining_s"]
    probability = guess["tool_probability"]

    def total(values: np.ndarray) -> np.ndarray:
        return weights @ np.bincount(owner, values, minlength=weights.shape[1])

    stages = total(np.ones(len(owner)))

    def mean(values: np.ndarray) -> np.ndarray:
        return total(values) / stages

    spread = mean(length**2) - mean(length) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        metrics = {
            "tool_auc": _auc(probability, called, owner, weights),
            "tool_auc_offered": _auc(probability[offered], called[offered], owner[offered], weights),
            "tool_brier": mean((probability - called) ** 2),
            "tool_ece": _calibration_error(probability, called, total) / stages,
            "mae_tokens": mean(np.abs(length - middle)),
            "r2": 1.0 - mean((length - middle) ** 2) / spread,
            "pinball_q50_tokens": mean(0.5 * np.abs(length - middle)),
            "pinball_q90_tokens": mean(np.maximum(0.9 * (length - high), 0.1 * (high - length))),
            "under_q50": mean(_above(length, middle)),
            "under_q90": mean(_above(length, high)),
            "remaining_mae_s": mean(np.abs(left_s - guess["remaining_s_q50"])),
            "remaining_under_q90": mean(_above(left_s, guess["remaining_s_q90"])),
        }
    return metrics


def _above(values: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """1 where a value is above its bound, 0 where not, nan where there is no bound."""
    return np.where(np.isnan(bound), np.nan, values > bound)


def _auc(score: np.ndarray, outcome: np.ndarray, owner: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of (event, non-event) pairs in the right order, ties half, for every row of weights."""
    if np.isnan(score).any() or len(np.unique(outcome)) < 2:
        return np.full(len(weights), np.nan)
    order = np.argsort(score, kind="stable")
    starts = np.unique(score[order], return_index=True)[1]
    events, owners = outcome[order] == 1.0, owner[order]
    areas = []
    for begin in range(0, len(weights), _BATCH):
        each = weights[begin : begin + _BATCH, owners]
        hits = np.add.reduceat(each * events, starts, axis=1)
        misses = np.add.reduceat(each * ~events, starts, axis=1)
        below = np.cumsum(misses, axis=1) - 0.5 * misses
        areas.append((hits * below).sum(1) / (hits.sum(1) * misses.sum(1)))
    return np.concatenate(areas)


def _calibration_error(probability: np.ndarray, called: np.ndarray, total: Totals) -> np.ndarray:
    """Sum over ten equal bins of |sum of probability - events| (Naeini et al., AAAI 2015)."""
    bins = np.clip(np.nan_to_num(probability) * _BINS, 0, _BINS - 1).astype(int)
    return sum((np.abs(total((probability - called) * (bins == b))) for b in range(_BINS)), start=np.zeros(1))
