"""The further figures of the page: by load, one metric against another, by class, completion times, KV memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from maestro_gym.core.colours import COLOURS
from maestro_gym.evaluation.comparison import Comparison, Setting
from maestro_gym.evaluation.report.display import SHOWN, Shown, number
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.report.page.answer import hardest, standings
from maestro_gym.evaluation.report.page.contenders import window
from maestro_gym.evaluation.report.page.packed import figure_document, label, plain_text
from maestro_gym.evaluation.report.profiles import CAPTION
from maestro_gym.evaluation.report.told_apart import JUDGED, training_summaries
from maestro_gym.state import CLASS_NAMES

MOST_LINES, MOST_NAMED = 8, 24
"""Lines that a chart begins with, and those that its legend brings in; a longer legend would be the chart."""

_POINTS = 160
_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")


@dataclass(frozen=True)
class Chart:
    """A figure of the page.

    Attributes:
        title: Heading.
        caption: What it shows, in a sentence or two.
        document: Data and layout.
    """

    title: str
    caption: str
    document: dict[str, Any]


def charts_of(comparison: Comparison) -> list[Chart]:
    """Every chart, in the order of the page.

    Args:
        comparison: What was found.
    """
    charts = []
    for scenario in dict.fromkeys(setting.scenario for setting in comparison.settings):
        settings = sorted((s for s in comparison.settings if s.scenario == scenario), key=lambda s: s.load)
        charts += [_trade_off(comparison, settings[-1]), _by_class(comparison, settings[-1])]
        charts += [_by_load(comparison, settings)] if len(settings) > 1 else []
        charts += [_completion(comparison, setting) for setting in settings]
        traces = [t for t in comparison.traces if (t.scenario, t.contention) == (scenario, settings[-1].contention)]
        if any(len(trace.samples) for trace in traces):
            charts.append(_memory(comparison, settings[-1], traces))
    summaries = training_summaries(comparison)
    return [*charts, _profiles(summaries)] if summaries else charts


def charted(comparison: Comparison) -> list[str]:
    """The reference, the learned ones and the best: who is in charts, in the order in which they are."""
    ranked = [s.policy for s in standings(comparison, hardest(comparison), SHOWN["slo_attainment"])]
    names = [comparison.reference, *(p.name for p in ranked if p.learned), *(p.name for p in ranked)]
    return list(dict.fromkeys(names))[:MOST_NAMED]


def _look(index: int) -> dict[str, Any]:
    """Line and marker of the policy at a position; colour is never the only difference."""
    line = {"color": COLOURS[index % len(COLOURS)], "dash": _DASHES[index // len(COLOURS) % len(_DASHES)], "width": 2}
    symbol = _SYMBOLS[(index + 3 * (index // len(_SYMBOLS))) % len(_SYMBOLS)]
    return {"line": line, "marker": {"symbol": symbol, "size": 7, "color": line["color"]}}


def _lines(comparison: Comparison) -> list[tuple[str, dict[str, Any]]]:
    names = charted(comparison)
    return [
        (
            name,
            _look(index)
            | {"name": plain_text(name), "visible": True if index < MOST_LINES else "legendonly", "legendgroup": name},
        )
        for index, name in enumerate(names)
    ]


def _laid_out(figure: go.Figure, *, height: int, legend: bool = True, **layout: Any) -> dict[str, Any]:  # noqa: ANN401
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 16, "t": 34, "b": 54},
        showlegend=legend,
        # On top, where the page makes as much room as its lines take.
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
        **layout,
    )
    figure.update_yaxes(automargin=True)
    return figure_document(figure)


def _interval(comparison: Comparison, setting: Setting, policy: str, shown: Shown) -> tuple[float, float, float]:
    cell = comparison.cell(setting, policy, shown.column).value
    return (
        cell.estimate * shown.scale,
        (cell.high - cell.estimate) * shown.scale,
        (cell.estimate - cell.low) * shown.scale,
    )


def _trade_off(comparison: Comparison, setting: Setting) -> Chart:
    across, up = SHOWN["completion_mean_s"], SHOWN["slo_attainment"]
    figure = go.Figure()
    for name, style in _lines(comparison):
        x, x_high, x_low = _interval(comparison, setting, name, across)
        y, y_high, y_low = _interval(comparison, setting, name, up)
        figure.add_trace(
            go.Scatter(
                x=[x],
                y=[y],
                mode="markers",
                marker=style["marker"] | {"size": 10},
                name=style["name"],
                visible=style["visible"],
                error_x={"array": [x_high], "arrayminus": [x_low], "thickness": 1, "width": 0},
                error_y={"array": [y_high], "arrayminus": [y_low], "thickness": 1, "width": 0},
                text=[style["name"]],
                hovertemplate=f"<b>%{{text}}</b><br>{across.heading} %{{x:.1f}}<br>{up.heading} %{{y:.1f}}"
                "<extra></extra>",
            )
        )
    seen = [window(standings(comparison, setting, shown), comparison.reference) for shown in (across, up)]
    document = _laid_out(
        figure,
        height=440,
        xaxis={"title": {"text": across.heading}, "range": [seen[0].low, seen[0].high]},
        yaxis={"title": {"text": up.heading}, "range": [seen[1].low, seen[1].high]},
    )
    caption = (
        "Up is more deadlines met, left is faster. Means over seeds with 95 % intervals. The axes show who is in the "
        "race; zooming out shows the others, and the legend brings them in."
    )
    return Chart(f"{setting.title}: deadlines against speed", caption, document)


def _by_load(comparison: Comparison, settings: Sequence[Setting]) -> Chart:
    panels = (SHOWN["slo_attainment"], SHOWN["ttft_attainment"])
    figure = make_subplots(rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for name, style in _lines(comparison):
        for row, shown in enumerate(panels, start=1):
            found = np.array([_interval(comparison, setting, name, shown) for setting in settings])
            figure.add_trace(
                go.Scatter(
                    x=[setting.load for setting in settings],
                    y=found[:, 0],
                    error_y={"array": found[:, 1], "arrayminus": found[:, 2], "thickness": 1, "width": 3},
                    mode="lines+markers",
                    showlegend=row == 1,
                    hovertemplate=f"<b>{style['name']}</b><br>load %{{x:.2f}}: %{{y:.1f}}<extra></extra>",
                    **style,
                ),
                row=row,
                col=1,
            )
    for row, shown in enumerate(panels, start=1):
        figure.update_yaxes(title={"text": shown.heading}, row=row, col=1)
    figure.update_xaxes(title={"text": "offered load, relative to capacity"}, row=len(panels), col=1)
    caption = "Workflows that finish by their deadline, and interactive stages whose first token comes in time."
    return Chart(f"{settings[0].scenario}: promises kept by load", caption, _laid_out(figure, height=640))


def _by_class(comparison: Comparison, setting: Setting) -> Chart:
    shown = SHOWN["slo_attainment"]
    names = [s.policy.name for s in standings(comparison, setting, shown)]
    figure = go.Figure()
    for index, kind in enumerate(CLASS_NAMES):
        cells = [comparison.cell(setting, name, f"slo_attainment_{kind}").value for name in names]
        middle = np.array([cell.estimate for cell in cells]) * shown.scale
        ends = np.array([(cell.high, cell.low) for cell in cells]).reshape(-1, 2).T * shown.scale
        figure.add_trace(
            go.Scatter(
                x=middle,
                y=np.arange(len(names)) + (index - 0.5) * 0.3,
                error_x={"array": ends[0] - middle, "arrayminus": middle - ends[1], "thickness": 1.2, "width": 3},
                mode="markers",
                name=kind,
                marker={"symbol": _SYMBOLS[index], "size": 8, "color": COLOURS[index]},
                text=[label(name) for name in names],
                hovertemplate=f"<b>%{{text}}</b><br>{kind} %{{x:.1f}} %<extra></extra>",
            )
        )
    document = _laid_out(
        figure,
        height=110 + 26 * len(names),
        xaxis={"title": {"text": shown.heading}, "zeroline": False},
        yaxis={
            "zeroline": False,
            "tickvals": list(range(len(names))),
            "ticktext": [label(name) for name in names],
            "range": [len(names) - 0.4, -0.6],
            "showgrid": False,
        },
    )
    caption = "Deadlines met by interactive and by batch workflows: who buys one with the other."
    return Chart(f"{setting.title}: by class", caption, document)


def _completion(comparison: Comparison, setting: Setting) -> Chart:
    table = comparison.workflows
    table = table[(table["scenario"] == setting.scenario) & (table["contention"] == setting.contention)]
    figure = go.Figure()
    for name, style in _lines(comparison):
        own = table[table["policy"] == name]
        times_s = np.sort(np.asarray(own["completion_s"], dtype=float)[np.asarray(own["finished"], dtype=bool)])
        if not len(times_s):
            continue
        at = np.unique(np.linspace(0, len(times_s) - 1, _POINTS).round().astype(int))
        figure.add_trace(
            go.Scatter(
                x=times_s[at].round(2),
                y=((at + 1) / len(own) * 100).round(2),
                mode="lines",
                hovertemplate=f"<b>{style['name']}</b><br>%{{y:.1f}} % within %{{x:.1f}} s<extra></extra>",
                **{key: value for key, value in style.items() if key != "marker"},
            )
        )
    document = _laid_out(
        figure,
        height=440,
        xaxis={"title": {"text": "completion time [s]"}, "type": "log"},
        yaxis={"title": {"text": "workflows [%]"}, "range": [0, 102]},
    )
    caption = (
        "Share of all workflows, of all seeds, done within a time of their arrival. A curve that stays under 100 % "
        "leaves workflows unfinished."
    )
    return Chart(f"{setting.title}: completion times", caption, document)


def _memory(comparison: Comparison, setting: Setting, traces: Sequence[Trace]) -> Chart:
    by_name = {trace.policy: trace for trace in traces if len(trace.samples)}
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for name, style in _lines(comparison):
        if name not in by_name:
            continue
        rows = by_name[name].samples
        rows = rows[:: max(1, len(rows) // _POINTS)]
        for row, column in enumerate(("kv_reserved_bytes", "kv_used_bytes"), start=1):
            figure.add_trace(
                go.Scatter(
                    x=rows["time_s"].round(1),
                    y=(rows[column] / 1e9).round(3),
                    mode="lines",
                    showlegend=row == 1,
                    hovertemplate=f"<b>{style['name']}</b><br>%{{y:.1f}} GB at %{{x:.0f}} s<extra></extra>",
                    **{key: value for key, value in style.items() if key != "marker"},
                ),
                row=row,
                col=1,
            )
    figure.update_yaxes(title={"text": "KV reserved [GB]"}, row=1, col=1)
    figure.update_yaxes(title={"text": "KV used [GB]"}, row=2, col=1)
    figure.update_xaxes(title={"text": "simulated time [s]"}, row=2, col=1)
    peak = max(float(trace.samples["kv_pool_bytes"].max()) for trace in by_name.values()) / 1e9
    caption = (
        f"KV memory of the fleet over one episode (seed {traces[0].seed}): set aside by admission, and mapped. The "
        f"pools that weights leave held {number(peak)} GB at most."
    )
    return Chart(f"{setting.title}: KV memory over time", caption, _laid_out(figure, height=560))


def _profiles(summaries: Sequence[Any]) -> Chart:
    figure = make_subplots(rows=len(JUDGED), cols=1, vertical_spacing=0.14)
    for row, column in enumerate(JUDGED, start=1):
        shown = SHOWN[column]
        for index, summary in enumerate(summary for summary in summaries if summary.column == column):
            style, profile = _look(index), summary.profile
            at = profile.thresholds * shown.scale
            name = plain_text(", ".join(summary.runs))
            common = {"legendgroup": name, "hoverinfo": "skip", "showlegend": False, "mode": "lines"}
            figure.add_trace(go.Scatter(x=at, y=profile.low * 100, line={"width": 0, "shape": "hv"}, **common), row, 1)
            figure.add_trace(
                go.Scatter(x=at, y=profile.high * 100, line={"width": 0, "shape": "hv"}, fill="tonexty", **common),
                row,
                1,
            )
            figure.add_trace(
                go.Scatter(
                    x=at,
                    y=profile.share * 100,
                    name=name,
                    mode="lines",
                    legendgroup=name,
                    showlegend=row == 1,
                    line=style["line"] | {"shape": "hv"},
                    hovertemplate="%{y:.0f} % above %{x:.1f}<extra></extra>",
                ),
                row,
                1,
            )
        figure.update_xaxes(title={"text": f"threshold: {shown.heading}"}, row=row, col=1)
        figure.update_yaxes(title={"text": "runs and settings above it [%]"}, range=[0, 102], row=row, col=1)
    return Chart("Seeds of one training: performance profiles", CAPTION, _laid_out(figure, height=640))
