"""Nodes by time: who was resident and ran, KV memory, queues; drawn so that two policies can lie on each other.

Rows, scales and margins are those of all episodes together, so that the same place of two figures is the same thing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.evaluation.report.chrome_trace import counts_over_time
from maestro_gym.evaluation.report.episode_trace import Trace, busiest_nodes
from maestro_gym.evaluation.report.gantt import MAX_NODES
from maestro_gym.evaluation.report.page.packed import figure_document, plain_text
from maestro_gym.evaluation.report.residency import models_of, residency_spans

LEFT_PX = 132
"""Margin for the names of rows, the same in all figures: whatever is moved over them must know it."""

RIGHT_PX = 14
_LONGEST = 22
"""Letters of a name that fit the margin."""

_FULL = 0.84
"""Part of a row that the largest value fills."""

MOST_MODELS = 5
"""Lanes of a node: the models that ran there most, in all episodes together."""

_POINTS = 400
"""Moments that are kept of a lane; of neighbouring batches the largest."""

_KV = (
    ("kv_pool_bytes", "#D5D9DE", "pool"),
    ("kv_used_bytes", "#56B4E9", "used"),
    ("kv_reserved_bytes", COLOURS[1], "reserved"),
)
"""Column, colour and word of what is drawn of a node's KV memory, the lowest first."""

_STATES = {
    "asleep": {"color": "#4D4D4D", "width": 2},
    "awake": {"color": "#B8C4CE", "width": 3},
    "loading": {"color": COLOURS[1], "width": 7},
}


def rows_of_nodes(traces: Sequence[Trace]) -> list[int]:
    """The nodes that have a row."""
    return busiest_nodes(traces, MAX_NODES)


def batches(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """A lane for each model of a node: its residency as a line, the root of its batch as an area over it.

    Args:
        traces: Episodes of the same workflows.

    Returns:
        A figure for each, as data and layout.
    """
    lanes: list[tuple[int, int | None]] = []
    for node in rows_of_nodes(traces):
        lanes += [(node, None), *((node, model) for model in _models(traces, node))]
    counts = [{lane: _batch(trace, *lane) for lane in lanes if lane[1] is not None} for trace in traces]
    most = max((int(found[1].max(initial=0)) for own in counts for found in own.values()), default=1) or 1
    names = [
        f"<b>{plain_text(traces[0].node_names[node])}</b>" if model is None else _short(traces[0].model_names[model])
        for node, model in lanes
    ]
    figures = []
    for trace, own in zip(traces, counts, strict=True):
        figure = go.Figure()
        for state, line in _STATES.items():
            figure.add_trace(_residency(trace, lanes, state, line))
        for row, lane in enumerate(lanes):
            if lane in own and lane[1] is not None:
                at_s, batch = own[lane]
                colour = COLOURS[lane[1] % len(COLOURS)]
                what = f"{plain_text(trace.model_names[lane[1]])} on {plain_text(trace.node_names[lane[0]])}"
                parts = np.sqrt(batch / most)
                figure.add_trace(_area(row, at_s, batch, parts, colour, f"{what}<br>%{{customdata}} stages"))
        figures.append(laid_out(figure, names, traces, row_px=18))
    return figures


def _models(traces: Sequence[Trace], node: int) -> list[int]:
    """The models that ran longest on a node, then those that were loaded there, in the order of their ids."""
    ran_s = dict.fromkeys((model for trace in traces for model in models_of(trace, node)), 0.0)
    for trace in traces:
        ran, (begins_s, _, ends_s) = trace.stages[trace.ran], trace.running_s
        for row in np.flatnonzero(ran["node"] == node):
            ran_s[int(ran["model"][row])] += float(ends_s[row] - begins_s[row])
    return sorted(sorted(ran_s, key=lambda model: -ran_s[model])[:MOST_MODELS])


def kv_memory(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """A row for each node: KV memory used and reserved, and its pool, as parts of the largest pool of all.

    Args:
        traces: Episodes of the same workflows.
    """
    nodes = rows_of_nodes(traces)
    most = max((float(trace.node_samples["kv_pool_bytes"].max(initial=0.0)) for trace in traces), default=0.0) or 1.0
    figures = []
    for trace in traces:
        figure = go.Figure()
        rows = _thinned(len(trace.node_samples))
        for row, node in enumerate(nodes):
            own, at_s = trace.node_samples[rows, node], trace.node_samples_s[rows]
            for column, colour, words in _KV:
                held = own[column]
                what = f"{plain_text(trace.node_names[node])}<br>{words} %{{customdata:.1f}} GB"
                area = _area(row, at_s, (held / 1e9).round(2), held / most, colour, what)
                if column == "kv_reserved_bytes":  # a line, since less or more than this can be in use
                    area.update(fill="none", line={"width": 1.8, "color": colour})
                figure.add_trace(area)
        figures.append(laid_out(figure, [plain_text(traces[0].node_names[node]) for node in nodes], traces, row_px=44))
    return figures


def queues(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """The global queue, and a row for each node: stages that wait.

    Args:
        traces: Episodes of the same workflows.
    """
    nodes = rows_of_nodes(traces)
    most_ready = max((int(trace.samples["ready"].max(initial=0)) for trace in traces), default=0) or 1
    most_queued = max((int(trace.node_samples["queued"].max(initial=0)) for trace in traces), default=0) or 1
    figures = []
    for trace in traces:
        figure = go.Figure()
        rows = _thinned(len(trace.samples))
        ready, at_s = trace.samples["ready"][rows], trace.samples["time_s"][rows]
        figure.add_trace(_area(0, at_s, ready, ready / most_ready, COLOURS[3], "global queue<br>%{customdata} stages"))
        rows = _thinned(len(trace.node_samples))
        for row, node in enumerate(nodes, start=1):
            queued = trace.node_samples["queued"][rows, node]
            words = f"{plain_text(trace.node_names[node])}<br>%{{customdata}} stages wait"
            figure.add_trace(_area(row, trace.node_samples_s[rows], queued, queued / most_queued, COLOURS[0], words))
        names = [f"global queue<br>(to {most_ready:,})", *(plain_text(traces[0].node_names[node]) for node in nodes)]
        figures.append(laid_out(figure, names, traces, row_px=44))
    return figures


def _thinned(rows: int) -> slice:
    return slice(None, None, max(1, math.ceil(rows / _POINTS)))


def _short(name: str) -> str:
    """A name that fits the margin; the middle of a longer one is left out, and hovering says it whole."""
    return plain_text(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 8]}…{name[-7:]}")


def _batch(trace: Trace, node: int, model: int | None) -> tuple[np.ndarray, np.ndarray]:
    ran, (begins_s, _, ends_s) = trace.stages[trace.ran], trace.running_s
    own = (ran["node"] == node) & (ran["model"] == model)
    at_s, counts = counts_over_time(begins_s[own].round(1), ends_s[own].round(1))
    if len(at_s) <= _POINTS:
        return at_s, counts
    kept = np.linspace(0, len(at_s) - 1, _POINTS).astype(int)
    return at_s[kept], np.maximum.reduceat(counts, kept)


def _area(row: int, at_s: np.ndarray, values: np.ndarray, parts: np.ndarray, colour: str, words: str) -> go.Scatter:
    """Values as steps over the base line of a row, each as high as its part of what fills the row."""
    x = np.repeat(at_s, 2)[1:].round(1)
    held, height = np.repeat(values, 2)[:-1], np.repeat(parts, 2)[:-1]
    base = row + _FULL / 2
    closed_x = np.concatenate([x[:1], x, x[-1:]])
    closed_y = np.concatenate([[base] * min(1, len(x)), base - _FULL * height, [base] * min(1, len(x))])
    return go.Scatter(
        x=closed_x,
        y=closed_y.round(3),
        customdata=np.concatenate([held[:1], held, held[-1:]]),
        mode="lines",
        line={"width": 0.6, "color": colour},
        fill="toself",
        fillcolor=colour,
        opacity=0.85,
        hoveron="points",
        hovertemplate=f"{words} at %{{x:.1f}} s<extra></extra>",
    )


def _residency(trace: Trace, lanes: Sequence[tuple[int, int | None]], state: str, line: dict[str, Any]) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    words: list[str | None] = []
    for row, (node, model) in enumerate(lanes):
        for span in residency_spans(trace, node, model) if model is not None else ():
            if span.state == state:
                what = f"{span.state} from {span.source}" if span.source else span.state
                text = f"{plain_text(trace.model_names[model or 0])}: {what}, {span.end_s - span.begin_s:.1f} s"
                x += [round(span.begin_s, 1), round((span.begin_s + span.end_s) / 2, 1), round(span.end_s, 1), None]
                y += [row + _FULL / 2] * 3 + [None]
                words += [text] * 3 + [None]
    hover = "%{text}<extra></extra>"
    return go.Scatter(x=x, y=y, text=words, mode="lines", line=line, hovertemplate=hover, name=state)


def laid_out(figure: go.Figure, names: Sequence[str], traces: Sequence[Trace], *, row_px: int) -> dict[str, Any]:
    """Give a figure by node the rows, scales and margins that the figures of all episodes share.

    Args:
        figure: What is drawn, with y as the number of a row.
        names: Of the rows, from the top.
        traces: Episodes of the same workflows.
        row_px: Height of a row.

    Returns:
        Data and layout.
    """
    last_s = max([trace.horizon_s for trace in traces] + [float(t.running_s[2].max(initial=0.0)) for t in traces])
    figure.add_vline(x=traces[0].horizon_s, line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_layout(
        height=68 + row_px * len(names),
        margin={"l": LEFT_PX, "r": RIGHT_PX, "t": 8, "b": 52},
        showlegend=False,
        xaxis={"range": [0, last_s * 1.01], "title": {"text": "simulated time [s]"}},
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": list(names),
            "tickfont": {"size": 10},
            "range": [len(names) - 0.4, -0.6],
            "showgrid": False,
            "zeroline": False,
        },
    )
    return figure_document(figure)
