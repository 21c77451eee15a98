"""From an episode's result to its row of the results table."""

from __future__ import annotations

from typing import TYPE_CHECKING

# Importing a module of definitions fills the registry; their order is the order of the docs.
# isort: off
from maestro_gym.episodes.metrics import workflows as workflow_metrics  # noqa: F401
from maestro_gym.episodes.metrics import stages as stage_metrics  # noqa: F401
from maestro_gym.episodes.metrics import tenants as tenant_metrics  # noqa: F401
from maestro_gym.episodes.metrics import tools as tool_metrics  # noqa: F401
from maestro_gym.episodes.metrics import handoffs as handoff_metrics  # noqa: F401
from maestro_gym.episodes.metrics import fleet as fleet_metrics  # noqa: F401
from maestro_gym.episodes.metrics import cost as cost_metrics  # noqa: F401
from maestro_gym.episodes.metrics import nodes as node_metrics  # noqa: F401
from maestro_gym.episodes.metrics import degrees as degree_metrics  # noqa: F401
from maestro_gym.episodes.metrics import reservation as reservation_metrics  # noqa: F401
from maestro_gym.episodes.metrics import prediction as prediction_metrics  # noqa: F401

# isort: on
from maestro_gym.episodes.metrics.define import METRICS, Metric, metric_of
from maestro_gym.episodes.metrics.outcome import Outcome, outcome_of
from maestro_gym.state import CLASS_NAMES

if TYPE_CHECKING:
    from maestro_gym.episodes.result import EpisodeResult

__all__ = ["IDENTITY", "METRICS", "Metric", "metric_columns", "metric_of", "metrics_of", "result_row"]

IDENTITY = ("scenario", "contention", "policy", "split", "seed", "index")
"""Columns that name a row; with the metrics they make up the results table."""


def metric_columns() -> list[str]:
    """Names of all metric columns: every metric overall, then per class where it has classes."""
    return [column for metric in METRICS.values() for column in metric.columns]


def metrics_of(outcome: Outcome) -> dict[str, float]:
    """Every metric of one outcome.

    Args:
        outcome: The reduced episode.

    Returns:
        One float a column of :func:`metric_columns`, nan where there is nothing to measure.
    """
    parts = {name: outcome.of_class(cls) for cls, name in enumerate(CLASS_NAMES)}
    row: dict[str, float] = {}
    for metric in METRICS.values():
        row[metric.name] = metric.compute(outcome)
        if metric.per_class:
            row |= {f"{metric.name}_{name}": metric.compute(part) for name, part in parts.items()}
    return row


def result_row(result: EpisodeResult) -> dict[str, str | int | float]:
    """One flat row: who ran what, how large it was, and every metric.

    Args:
        result: An episode's result, simulated or live.
    """
    outcome = outcome_of(result)
    return {
        **{name: getattr(result, name) for name in IDENTITY},
        "done": result.done,
        "workflows": len(outcome.deadline_s),
        "stages": len(outcome.ready),
        "wall_s": float(result.wall_s),
        **metrics_of(outcome),
    }
