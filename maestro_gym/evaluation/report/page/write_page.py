"""One HTML file that holds a comparison: the answer, a picture, tables, an episode by time, figures, configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from maestro_gym.core.whole_file import write_whole
from maestro_gym.episodes.metrics.row import METRICS
from maestro_gym.evaluation.comparison import Cell, Comparison, Setting
from maestro_gym.evaluation.report.best import is_best
from maestro_gym.evaluation.report.display import SHOWN, Shown, bounds, headline, number
from maestro_gym.evaluation.report.page.answer import answer, hardest
from maestro_gym.evaluation.report.page.charts import charts_of
from maestro_gym.evaluation.report.page.contenders import METRICS as PICTURED
from maestro_gym.evaluation.report.page.contenders import pictures
from maestro_gym.evaluation.report.page.packed import as_json, library, packed
from maestro_gym.evaluation.report.page.references import differences, references
from maestro_gym.evaluation.report.page.timelines import VIEWS, timelines_of
from maestro_gym.evaluation.report.verdicts import verdicts


def write_report(comparison: Comparison, path: Path) -> Path:
    """Write the report, which needs no other file and no network.

    Args:
        comparison: What was found.
        path: HTML file.

    Returns:
        The same path.
    """
    environment = Environment(
        loader=PackageLoader("maestro_gym.evaluation.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    charts, timelines = charts_of(comparison), timelines_of(comparison)
    data = {
        "policies": [policy.name for policy in comparison.policies],
        "pictures": pictures(comparison),
        "differences": differences(comparison),
        "charts": [chart.document for chart in charts],
        "timelines": [vars(timeline) for timeline in timelines],
        "complete": [_complete(comparison, setting) for setting in comparison.settings],
    }
    columns = headline(comparison.rows)
    page = environment.get_template("report.html.j2").render(
        comparison=comparison,
        title=" and ".join(dict.fromkeys(setting.scenario for setting in comparison.settings)),
        answer=answer(comparison),
        hardest=hardest(comparison),
        pictured=[SHOWN[column] for column in PICTURED],
        references=references(comparison),
        verdicts=verdicts(comparison),
        headline=columns,
        tables=[(setting, _rows(comparison, setting, columns)) for setting in comparison.settings],
        metrics=list(METRICS.values()),
        charts=charts,
        timelines=timelines,
        views=VIEWS,
        data=packed(as_json(data)),
        library=library(),
    )
    write_whole(path, page)
    return path


def _rows(comparison: Comparison, setting: Setting, columns: Sequence[Shown]) -> list[tuple[Any, list[dict[str, Any]]]]:
    return [
        (policy, [_shown_cell(comparison, setting, policy.name, shown) for shown in columns])
        for policy in comparison.policies
    ]


def _shown_cell(comparison: Comparison, setting: Setting, policy: str, shown: Shown) -> dict[str, Any]:
    cell = comparison.cell(setting, policy, shown.column)
    return {
        "sort": _sort_key(cell),
        "value": number(cell.value.estimate * shown.scale),
        "bounds": bounds(cell.value, shown.scale),
        "difference": ""
        if policy == comparison.reference
        else f"{number(cell.difference.estimate * shown.scale, signed=True)}\n{bounds(cell.difference, shown.scale)}",
        "tone": _tone(cell, shown.better),
        "best": is_best(comparison, setting, policy, shown),
    }


def _complete(comparison: Comparison, setting: Setting) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    """Every metric column: name, unit, and for each policy value, interval and tone."""
    table = []
    for metric in METRICS.values():
        for column in metric.columns:
            cells = [comparison.cell(setting, policy.name, column) for policy in comparison.policies]
            shown = [
                (number(cell.value.estimate), bounds(cell.value, 1.0), _tone(cell, metric.better)) for cell in cells
            ]
            table.append((column, metric.unit, shown))
    return table


def _tone(cell: Cell, better: str) -> str:
    if not cell.difference.excludes_zero or better == "neither":
        return ""
    return "better" if (cell.difference.estimate > 0) == (better == "higher") else "worse"


def _sort_key(cell: Cell) -> str:
    return repr(cell.value.estimate) if math.isfinite(cell.value.estimate) else ""
