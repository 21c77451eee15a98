"""Learning curves: how validation went, by class of workflow and by term of the reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from maestro_gym.agents.logs import STEP_COLUMN
from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.core.whole_file import whole_file
from maestro_gym.evaluation.report.palette import DASHES, STYLE, figure, look
from maestro_gym.state import CLASS_NAMES

_PANELS = (
    ("SLO attainment [%]", "slo_attainment", 100.0),
    ("completion mean [s]", "completion_mean_s", 1.0),
)
_WIDTH_IN, _HEIGHT_IN = 11.0, 8.0


def draw_curves(
    rows: Sequence[Mapping[str, Any]], path: Path, title: str, reference: Mapping[str, float], reference_name: str
) -> None:
    """Draw the evaluations of a training run, in the style of the report.

    Args:
        rows: Evaluations in order, as `validation.Validation.measure` makes them.
        path: PNG to write.
        title: What was trained.
        reference: The same columns of the companions' own policy, drawn as dashed lines; may be empty.
        reference_name: Name of that policy.
    """
    with mpl.rc_context(STYLE):
        fig, axes = figure(2, 2, width=_WIDTH_IN, height=_HEIGHT_IN)
        fig.suptitle(title)
        for axis, (name, metric, scale) in zip(axes, _PANELS, strict=False):
            columns = {metric: "all", **{f"{metric}_{cls}": cls for cls in CLASS_NAMES}}
            _draw(axis, rows, columns, reference, reference_name, scale)
            axis.set(title=name)
        _draw(axes[2], rows, _weighted_terms(rows, reference), reference, reference_name)
        axes[2].set(title="reward by term, mean of an episode [weighted workflow seconds]")
        axes[2].yaxis.set_major_formatter(EngFormatter(sep=""))
        _draw(axes[3], rows, {"unfinished": "all"}, reference, reference_name)
        axes[3].set(title="unfinished at the cap [workflows an episode]")
        with whole_file(path) as part:
            fig.savefig(part)


def _weighted_terms(rows: Sequence[Mapping[str, Any]], reference: Mapping[str, float]) -> dict[str, str]:
    """Terms of the reward by column, with their words; a term without weight is zero everywhere and says nothing."""
    names = sorted({column for row in (*rows, reference) for column in row if column.startswith("reward_")})
    found = [name for name in names if any(_number(row.get(name), 0.0) for row in (*rows, reference))]
    return {name: name.removeprefix("reward_").replace("_", " ") for name in found}


def _draw(
    axis: Axes,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    reference: Mapping[str, float],
    reference_name: str,
    scale: float = 1.0,
) -> None:
    steps = np.array([float(row[STEP_COLUMN]) for row in rows])
    shown = [column for column in columns if any(_number(row.get(column)) is not None for row in rows)]
    for index, column in enumerate(shown):
        values = scale * np.array([_number(row.get(column), np.nan) for row in rows], dtype=float)
        axis.plot(steps, values, label=columns[column], **look(index))
        if column in reference:
            axis.axhline(scale * reference[column], linestyle=DASHES[1], linewidth=1, color=_colour(index))
    if any(column in reference for column in shown):
        axis.plot([], [], linestyle=DASHES[1], linewidth=1, color=GREY, label=f"{reference_name} (dashed)")
    axis.set_xlabel("decisions learned from")
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    if shown:
        # Under the axes, where no curve can lie.
        axis.legend(loc="upper left", bbox_to_anchor=(0.0, -0.16), ncols=3, borderaxespad=0.0)


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _number(value: object, otherwise: float | None = None) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type] - strings of a CSV, numbers, or nothing
    except (TypeError, ValueError):
        return otherwise
