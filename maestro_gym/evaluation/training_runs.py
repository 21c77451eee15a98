"""Several trainings that differ by their seed alone: what one may say of the method and not of one lucky run.

Agarwal et al., "Deep RL at the Edge of the Statistical Precipice" (NeurIPS 2021): interquartile means, performance
profiles and the probability of improvement, with bootstrap intervals that resample runs within each task. A task here
is a setting, and a score of a run on it is its mean over the evaluation seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maestro_gym.core.bounded_text import parse_json, read_bounded
from maestro_gym.evaluation.statistics import CONFIDENCE, RESAMPLES, Interval, iqm_interval
from maestro_gym.evaluation.suite.fingerprint import digest

_CARD_FILE = "policy.json"
_OF_ONE_TRAINING = (
    *("tier", "network", "num_features", "hidden_sizes", "encoder", "window", "companions"),
    *("scenario", "contention", "discount_horizon_s"),
)
"""What a run's card says of how it was trained; the others follow from its seed."""


@dataclass(frozen=True)
class Profile:
    """A performance profile: the share of runs and tasks that score above each threshold.

    Attributes:
        thresholds: float, shape (thresholds,), ascending.
        share: float, shape (thresholds,).
        low: float, shape (thresholds,): lower end of the pointwise 95 % band.
        high: float, shape (thresholds,): upper end.
    """

    thresholds: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class TrainingSummary:
    """Runs of one training, on one metric, against the reference.

    Attributes:
        runs: Names of the policies.
        column: The metric.
        iqm: Interquartile mean over runs and settings.
        profile: At the scores that occur.
        improvement: Probability that a run is better than the reference on a setting.
    """

    runs: tuple[str, ...]
    column: str
    iqm: Interval
    profile: Profile
    improvement: Interval


def training_of(spec: str) -> str | None:
    """What trainings that differ by their seed alone have in common, as a hash.

    Args:
        spec: What names a policy.

    Returns:
        None where it is not the folder of a training run.
    """
    card = Path(spec) / _CARD_FILE
    if not card.is_file():
        return None
    try:
        content = parse_json(read_bounded(card))
    except ValueError:
        return None  # the policy's own loader tells what is wrong with it
    if not isinstance(content, dict):
        return None
    return digest([content.get(name) for name in _OF_ONE_TRAINING])


def summarise(
    runs: tuple[str, ...], column: str, scores: np.ndarray, reference: np.ndarray, *, better: str
) -> TrainingSummary:
    """Say of the runs of one training what their scores say of the method.

    Args:
        runs: Names of the policies.
        column: The metric.
        scores: float, shape (runs, tasks).
        reference: float, shape (tasks,): scores of the policy that they are held against.
        better: "higher" or "lower".
    """
    thresholds = np.unique(scores)
    return TrainingSummary(
        runs,
        column,
        iqm_interval(scores),
        performance_profile(scores, thresholds),
        probability_of_improvement(scores, reference[None, :], better=better),
    )


def performance_profile(scores: np.ndarray, thresholds: np.ndarray, *, rng_seed: int = 0) -> Profile:
    """The share of runs and tasks above each threshold, with a pointwise band.

    Args:
        scores: float, shape (runs, tasks).
        thresholds: float, shape (thresholds,), ascending.
        rng_seed: Seed of the resampling.
    """
    table = np.asarray(scores, dtype=float)

    def above(samples: np.ndarray) -> np.ndarray:
        return np.stack([(samples > threshold).mean(axis=(-2, -1)) for threshold in thresholds], axis=-1)

    found = above(_resampled(table, np.random.default_rng(rng_seed)))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(found, (tail, 100 - tail), axis=0)
    return Profile(np.asarray(thresholds, dtype=float), above(table), low, high)


def probability_of_improvement(
    scores: np.ndarray, others: np.ndarray, *, better: str = "higher", rng_seed: int = 0
) -> Interval:
    """The probability that a run of one method beats a run of another on a task, averaged over tasks.

    Of each task it is the Mann-Whitney statistic divided by the number of pairs; a tie counts half.

    Args:
        scores: float, shape (runs, tasks).
        others: float, shape (other runs, tasks).
        better: "higher" or "lower".
        rng_seed: Seed of the resampling.

    Returns:
        The estimate and its interval; without ends where one run a side leaves nothing to resample.
    """
    rng = np.random.default_rng(rng_seed)
    sign = 1.0 if better == "higher" else -1.0
    one, other = sign * np.asarray(scores, dtype=float), sign * np.asarray(others, dtype=float)

    def wins(mine: np.ndarray, its: np.ndarray) -> np.ndarray:
        gap = mine[..., :, None, :] - its[..., None, :, :]
        return ((gap > 0) + 0.5 * (gap == 0)).mean(axis=(-3, -2, -1))

    estimate = float(wins(one, other))
    if len(one) < 2 and len(other) < 2:
        return Interval(estimate, float("nan"), float("nan"), one.size)
    found = wins(_resampled(one, rng), _resampled(other, rng))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(found, (tail, 100 - tail))
    return Interval(estimate, float(low), float(high), one.size)


def _resampled(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Runs drawn anew within each task; float, shape (resamples, runs, tasks)."""
    chosen = rng.integers(len(scores), size=(RESAMPLES, *scores.shape))
    return np.take_along_axis(scores[None], chosen, axis=1)
