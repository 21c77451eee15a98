"""The first picture: the contenders by value, the reference as a line, and at the edge whoever is out of the race."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.evaluation.comparison import Comparison, Setting
from maestro_gym.evaluation.report.best import may_be_best
from maestro_gym.evaluation.report.display import SHOWN, Shown, number
from maestro_gym.evaluation.report.page.answer import Standing, standings
from maestro_gym.evaluation.report.page.packed import figure_document, label

METRICS = ("slo_attainment", "ttft_attainment", "completion_mean_s", "completion_p95_s")
"""Metrics that the picture can show; the first one is shown first."""

_FEW = 5
"""With so few policies all of them are contenders."""
_ROOM = 0.06
_ROW_PX = 26


@dataclass(frozen=True)
class Window:
    """The part of the axis that holds the contenders.

    Attributes:
        low: Its lower end, in the shown unit.
        high: Its upper end.
    """

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies in it."""
        return self.low <= value <= self.high


def window(ranked: Sequence[Standing], reference: str) -> Window:
    """Zoom on the better half of the policies, and on the reference where that does not more than double the width.

    Args:
        ranked: Best first.
        reference: Name of the reference.

    Returns:
        The window; it holds the intervals of whoever is in the race, and some room. Without anybody, 0 to 1.
    """
    if not ranked:
        return Window(0.0, 1.0)
    best = ranked[0].value.estimate
    behind = [abs(standing.value.estimate - best) for standing in ranked]
    width = behind[-1] if len(ranked) <= _FEW else behind[(len(ranked) - 1) // 2]
    for standing, distance in zip(ranked, behind, strict=True):
        if standing.policy.name == reference and distance <= 2 * width:
            width = max(width, distance)
    inside = [standing.value for standing, distance in zip(ranked, behind, strict=True) if distance <= width]
    ends = [end for value in inside for end in (value.estimate, value.low, value.high) if end == end]
    room = max(_ROOM * (max(ends) - min(ends)), 1e-9 + 0.01 * abs(best))
    return Window(min(ends) - room, max(ends) + room)


def contenders(comparison: Comparison, setting: Setting, shown: Shown) -> dict[str, Any]:
    """The picture of one metric in one setting.

    Args:
        comparison: What was found.
        setting: Scenario and contention.
        shown: The metric.

    Returns:
        A figure as data and layout, with ``values`` by policy, for a reference that is picked later.
    """
    ranked = standings(comparison, setting, shown)
    figure = go.Figure()
    if not ranked:
        return figure_document(figure) | {"values": {}}
    view = window(ranked, comparison.reference)
    rows = {standing.policy.name: row for row, standing in enumerate(ranked)}
    inside = [standing for standing in ranked if view.holds(standing.value.estimate)]
    outside = [standing for standing in ranked if not view.holds(standing.value.estimate)]
    for oracle in (False, True):
        shown_here = [s for s in inside if (s.policy.information == "O") == oracle]
        if shown_here:
            figure.add_trace(_dots(shown_here, rows, shown, oracle=oracle))
    for standing in outside:
        figure.add_annotation(**_arrow(standing, rows[standing.policy.name], view, shown))
    able = may_be_best(comparison, setting, shown)
    best = next((s for s in ranked if s.policy.information != "O" and s.policy.name in able), None)
    ticks = [f"<b>{label(s.policy.name)}</b>" if s is best else label(s.policy.name) for s in ranked]
    ticks = [t if s.policy.name in able else f"{t} †" for s, t in zip(ranked, ticks, strict=True)]
    figure.update_layout(
        height=124 + _ROW_PX * len(ranked) + 10 * sum("<br>" in tick for tick in ticks),
        margin={"l": 8, "r": 16, "t": 34, "b": 72},
        showlegend=False,
        xaxis={"range": [view.low, view.high], "title": {"text": _axis(shown)}, "zeroline": False},
        yaxis={
            "tickvals": list(range(len(ranked))),
            "ticktext": ticks,
            "range": [len(ranked) - 0.4, -0.6],
            "automargin": True,
            "showgrid": False,
            "zeroline": False,
        },
    )
    return figure_document(figure) | {"values": {s.policy.name: s.value.estimate for s in ranked}}


def _axis(shown: Shown) -> str:
    return f"{shown.heading}<br>better to the {'right' if shown.better == 'higher' else 'left'}"


def _dots(inside: Sequence[Standing], rows: dict[str, int], shown: Shown, *, oracle: bool) -> go.Scatter:
    up = [s.value.high - s.value.estimate for s in inside]
    down = [s.value.estimate - s.value.low for s in inside]
    colour = GREY if oracle else COLOURS[0]
    return go.Scatter(
        x=[s.value.estimate for s in inside],
        y=[rows[s.policy.name] for s in inside],
        error_x={"type": "data", "array": up, "arrayminus": down, "thickness": 1.4, "width": 4, "color": colour},
        mode="markers",
        marker={"size": 9, "color": colour, "symbol": "diamond-open" if oracle else "circle"},
        text=[_words(s, shown) for s in inside],
        hovertemplate="%{text}<extra></extra>",
    )


def _words(standing: Standing, shown: Shown) -> str:
    value = standing.value
    interval = f" [{number(value.low)}, {number(value.high)}]" if value.low == value.low else ""
    oracle = "<br>oracle: knows the true future" if standing.policy.information == "O" else ""
    return f"<b>{label(standing.policy.name)}</b><br>{shown.heading} {number(value.estimate)}{interval}{oracle}"


def _arrow(standing: Standing, row: int, view: Window, shown: Shown) -> dict[str, Any]:
    left = standing.value.estimate < view.low
    value = number(standing.value.estimate)
    return {
        "x": view.low if left else view.high,
        "y": row,
        "text": f"\N{BLACK LEFT-POINTING TRIANGLE} {value}" if left else f"{value} \N{BLACK RIGHT-POINTING TRIANGLE}",
        "hovertext": _words(standing, shown),
        "showarrow": False,
        "xanchor": "left" if left else "right",
        "font": {"color": COLOURS[1]},
    }


def pictures(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """The picture of every setting and metric, by ``SETTING/COLUMN`` with the setting's number."""
    return {
        f"{place}/{column}": contenders(comparison, setting, SHOWN[column])
        for place, setting in enumerate(comparison.settings)
        for column in METRICS
    }
