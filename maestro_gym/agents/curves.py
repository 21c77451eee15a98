"""Learning curves: how validation went, by class of workflow and by term of the reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from maestro_gym.agents.logs import STEP_COLUMN
from maestro_gym.core.whole_file import whole_file
from maestro_gym.state import CLASS_NAMES

_PANELS = (
    ("SLO attainment", "slo_attainment", "share of workflows by their deadline"),
    ("completion time, mean", "completion_mean_s", "seconds"),
)
_INCHES = (11.0, 7.0)


def draw_curves(rows: Sequence[Mapping[str, Any]], path: Path, title: str, reference: Mapping[str, float]) -> None:
    """Draw the evaluations of a training run.

    Args:
        rows: Evaluations in order, as `validation.Validation.measure` makes them.
        path: PNG to write.
        title: What was trained.
        reference: The same columns of the companions' own policy, drawn as dashed lines; may be empty.
    """
    figure = Figure(figsize=_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    axes = figure.subplots(2, 2).ravel()
    for axis, (name, metric, unit) in zip(axes, _PANELS, strict=False):
        _draw(axis, rows, [metric, *(f"{metric}_{cls}" for cls in CLASS_NAMES)], reference)
        axis.set(title=name, ylabel=unit)
    terms = sorted({column for row in rows for column in row if column.startswith("reward_")})
    _draw(axes[2], rows, terms, reference)
    axes[2].set(title="reward by term, mean of an episode", ylabel="weighted workflow seconds")
    _draw(axes[3], rows, ["unfinished"], reference)
    axes[3].set(title="unfinished at the cap", ylabel="workflows an episode")
    for axis in axes:
        axis.set_xlabel("decisions learned from")
        axis.grid(alpha=0.3)
    with whole_file(path) as part:
        figure.savefig(part, dpi=120)


def _draw(
    axis: Axes, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], reference: Mapping[str, float]
) -> None:
    steps = np.array([float(row[STEP_COLUMN]) for row in rows])
    shown = [column for column in columns if any(_number(row.get(column)) is not None for row in rows)]
    for i, column in enumerate(shown):
        values = np.array([_number(row.get(column), np.nan) for row in rows], dtype=float)
        axis.plot(steps, values, marker="o", markersize=3, color=f"C{i}", label=column.replace("_", " "))
        if column in reference:
            axis.axhline(reference[column], linestyle="--", linewidth=1, color=f"C{i}")
    if shown:
        axis.legend(fontsize="small")


def _number(value: object, otherwise: float | None = None) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type] - strings of a CSV, numbers, or nothing
    except (TypeError, ValueError):
        return otherwise
