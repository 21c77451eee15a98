"""Fits a scenario's predictor and says what it learned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maestro_gym.config import load_scenario
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.predictors import BoostedPredictor
from maestro_gym.predictors.features import COLUMN
from maestro_gym.predictors.store import store_path


@dataclass(frozen=True)
class FittedScenario:
    """A scenario's predictor.

    Attributes:
        predictor: What was fitted.
        role_names: By role.
        path: Where it is kept.
        cached: Whether it was there before.
        wall_s: Seconds that fitting or reading took, the history's making included.
    """

    predictor: BoostedPredictor
    role_names: tuple[str, ...]
    path: Path
    cached: bool
    wall_s: float


def fit_scenario(name: str, overrides: Sequence[str]) -> FittedScenario:
    """Fit the boosted predictor of a scenario, or find it in the cache.

    Args:
        name: Name or file of a scenario.
        overrides: ``a.b.c=value``.

    Returns:
        The predictor and where it is.
    """
    begin = time.time()
    scenario = Scenario(load_scenario(name, [*overrides, "predictor.kind=boosted"]))
    wall_s = time.time() - begin
    predictor = scenario.predictor
    assert isinstance(predictor, BoostedPredictor)
    path = store_path(predictor.history, predictor.design)
    cached = path.is_file() and path.stat().st_mtime < begin
    return FittedScenario(predictor, scenario.workload.role_names, path, cached, wall_s)


def fit_rows(fitted: FittedScenario) -> list[dict[str, Any]]:
    """One row a role of the history, the most frequent first."""
    history, own = fitted.predictor.history, fitted.predictor.fitted.lengths[0].own
    roles = history.features[:, COLUMN["role"]].astype(np.int64)
    rows = []
    for role in np.argsort(-np.bincount(roles), kind="stable"):
        lengths = history.truth.output_q50_tokens[roles == role]
        if len(lengths):
            rows.append(
                {
                    "role": fitted.role_names[role],
                    "calls": len(lengths),
                    "trees": "its own" if int(role) in own else "shared",
                    "tool_share": float(history.truth.tool_probability[roles == role].mean()),
                    "output_p50_tokens": float(np.quantile(lengths, 0.5)),
                    "output_p90_tokens": float(np.quantile(lengths, 0.9)),
                }
            )
    return rows
