"""What the outcome of a candidate is worth, relative to the reference on the same episodes."""

from __future__ import annotations

import numpy as np

from maestro_gym.agents.search.evaluate import MEASURES
from maestro_gym.config.search import ObjectiveConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.row import metric_of

_LEAST_REFERENCE = 1.0
"""What a relative loss is at least a share of, one second or one workflow: a reference may have none at all."""


def measures_of(objective: ObjectiveConfig) -> tuple[str, ...]:
    """Metrics that an objective needs of an episode: `MEASURES` first, then what its limits name beside them.

    Args:
        objective: What counts.

    Raises:
        MaestroError: A limit names no metric, or one of which neither more nor less is better.
    """
    for limit in objective.limits:
        if metric_of(limit.metric).better == "neither":
            raise MaestroError(
                f"search.objective.limits: neither more nor less of {limit.metric} is better; limit another metric of "
                "docs/metrics.md."
            )
    return tuple(dict.fromkeys((*MEASURES, *(limit.metric for limit in objective.limits))))


def worth(
    objective: ObjectiveConfig, ours: np.ndarray, theirs: np.ndarray, weights: np.ndarray, places: np.ndarray
) -> float:
    """The objective of a candidate, larger is better; 0 is the reference.

    Args:
        objective: What counts.
        ours: float64, shape (episodes, `measures_of`), of the candidate.
        theirs: The same of the reference on the same episodes.
        weights: float64, shape (episodes,), sum 1.
        places: int64, shape (episodes,), place of each episode.
    """
    gain = objective.slo * (ours[:, 0] - theirs[:, 0])
    gain += objective.completion * (1.0 - ours[:, 1] / theirs[:, 1])
    gain += objective.tail * (1.0 - ours[:, 2] / theirs[:, 2])
    value = (1.0 - objective.worst) * float(weights @ gain) + objective.worst * float(gain.min())
    return value - objective.penalty * _beyond_limits(objective, ours, theirs, weights, places)


def _beyond_limits(
    objective: ObjectiveConfig, ours: np.ndarray, theirs: np.ndarray, weights: np.ndarray, places: np.ndarray
) -> float:
    """Losses beyond the limits, all limits together, each place by its weight."""
    columns, beyond = measures_of(objective), 0.0
    for limit in objective.limits:
        metric, column = metric_of(limit.metric), columns.index(limit.metric)
        for place in np.unique(places):
            # An episode without a workflow of the class has nothing to lose.
            there = (places == place) & np.isfinite(ours[:, column]) & np.isfinite(theirs[:, column])
            if not there.any():
                continue
            mine, their = float(ours[there, column].mean()), float(theirs[there, column].mean())
            loss = their - mine if metric.better == "higher" else mine - their
            if metric.unit != "1":
                loss /= max(abs(their), _LEAST_REFERENCE)
            beyond += float(weights[places == place].sum()) * max(0.0, loss - limit.most_loss)
    return beyond
