"""What the outcome of a candidate is worth, relative to the reference on the same episodes."""

from __future__ import annotations

import numpy as np

from maestro_gym.config.search import ObjectiveConfig

_CLASS_PENALTY = 5.0


def worth(objective: ObjectiveConfig, ours: np.ndarray, theirs: np.ndarray, weights: np.ndarray) -> float:
    """The objective of a candidate, larger is better; 0 is the reference.

    Args:
        objective: What counts.
        ours: float64, shape (episodes, `evaluate.MEASURES`), of the candidate.
        theirs: The same of the reference on the same episodes.
        weights: float64, shape (episodes,), sum 1.
    """
    gain = objective.slo * (ours[:, 0] - theirs[:, 0])
    gain += objective.completion * (1.0 - ours[:, 1] / theirs[:, 1])
    gain += objective.tail * (1.0 - ours[:, 2] / theirs[:, 2])
    value = (1.0 - objective.worst) * float(weights @ gain) + objective.worst * float(gain.min())
    if objective.class_limit is not None:
        lost = weights @ np.nan_to_num(theirs[:, 3:] - ours[:, 3:]) - objective.class_limit
        value -= _CLASS_PENALTY * float(np.maximum(lost, 0.0).sum())
    return value
