"""What a metric is, and the one list of them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.outcome import Outcome
from maestro_gym.state import CLASS_NAMES

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Metric:
    """One number about one episode, defined once.

    Attributes:
        name: Column name, unit included.
        unit: Unit in words; "1" for shares and ratios.
        better: Which way is better; "neither" for facts that only explain others.
        formula: How it is computed.
        description: What it means and what it leaves out.
        per_class: Whether ``<name>_interactive`` and ``<name>_batch`` stand beside the overall value.
        compute: From an outcome to the value; nan where the population is empty.
    """

    name: str
    unit: str
    better: Better
    formula: str
    description: str
    per_class: bool
    compute: Callable[[Outcome], float]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that this metric fills, the overall one first."""
        return (self.name, *(f"{self.name}_{name}" for name in CLASS_NAMES if self.per_class))


METRICS: dict[str, Metric] = {}
"""Every metric, by name, in the order of the docs."""

DISTRIBUTION = {
    "mean": np.mean,
    "p50": lambda values: np.percentile(values, 50),
    "p95": lambda values: np.percentile(values, 95),
    "p99": lambda values: np.percentile(values, 99),
}
"""Statistics of a quantity with one value an entity; percentiles interpolate linearly."""


def define(
    name: str,
    *,
    unit: str,
    better: Better,
    formula: str,
    description: str,
    compute: Callable[[Outcome], float],
    per_class: bool = False,
) -> None:
    """Add a metric to the registry; the arguments are the fields of :class:`Metric`."""
    if name in METRICS:
        raise ValueError(f"metric {name} is defined twice")
    METRICS[name] = Metric(name, unit, better, formula, description, per_class, compute)


def define_distribution(
    stem: str,
    *,
    formula: str,
    description: str,
    values: Callable[[Outcome], np.ndarray],
) -> None:
    """Add mean, p50, p95 and p99 of a time that each workflow or stage has, overall and per class.

    Args:
        stem: Name without statistic and unit: ``ttft`` gives ``ttft_mean_s``, ``ttft_p95_s`` and so on.
        formula: The quantity of one entity.
        description: Who has it and how it is censored.
        values: From an outcome to one value an entity, in seconds.
    """
    for statistic, reduce in DISTRIBUTION.items():

        def compute(
            outcome: Outcome, values: Callable[[Outcome], np.ndarray] = values, reduce: Callable = reduce
        ) -> float:
            sample = values(outcome)
            return float(reduce(sample)) if len(sample) else float("nan")

        define(
            f"{stem}_{statistic}_s",
            unit="s",
            better="lower",
            formula=f"{statistic} of {formula}",
            description=description,
            compute=compute,
            per_class=True,
        )


def metric_of(column: str) -> Metric:
    """The metric that a column holds, class suffix or not.

    Args:
        column: Such as ``slo_attainment`` or ``slo_attainment_batch``.

    Raises:
        MaestroError: No metric has such a column.
    """
    for metric in METRICS.values():
        if column in metric.columns:
            return metric
    raise MaestroError(f"{column!r} is no metric. The metrics are: {', '.join(METRICS)}.")


def share(part: float, whole: float) -> float:
    """Part of a whole, nan where there is no whole."""
    return float(part) / float(whole) if whole else float("nan")
