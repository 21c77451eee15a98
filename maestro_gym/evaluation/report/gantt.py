"""The schedule of one episode: nodes and models down, time across."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.evaluation.report.episode_trace import Trace, busiest_nodes
from maestro_gym.evaluation.report.palette import figure
from maestro_gym.evaluation.report.residency import Span, models_of, residency_spans

MAX_NODES = 8
_ASLEEP = "#555555"
_LOADING: Any = {"facecolor": "white", "edgecolor": "#555555", "hatch": "//////", "linewidth": 0.6}


def draw_gantt(trace: Trace) -> Figure:
    """Draw who ran where: a lane for each model of a node, stages as bars, loads and sleeps behind them.

    Args:
        trace: An episode; its busiest nodes are drawn when it has many.
    """
    nodes = busiest_nodes([trace], MAX_NODES)
    # An idle node has a lane, too.
    lanes = [(node, model) for node in nodes for model in models_of(trace, node) or [-1]]
    colour = _colours(trace)
    fig, (panel, *_) = figure(1, 1, width=12, height=1.4 + 0.17 * max(6, len(lanes)))
    for row, (node, model) in enumerate(lanes):
        for span in residency_spans(trace, node, model):
            _background(panel, row, span, colour.get(model, GREY))
        _stages(panel, trace, row, node, model, colour.get(model, GREY))
    panel.axvline(trace.horizon_s, color="#333333", linewidth=0.8, linestyle=(0, (4, 3)))
    ends_s = trace.running_s[2]
    last_s = max([trace.horizon_s, *ends_s.tolist()]) if len(ends_s) else trace.end_s
    panel.set(xlim=(0, min(trace.end_s, last_s * 1.01)), ylim=(len(lanes) - 0.5, -0.5), xlabel="simulated time [s]")
    panel.grid(axis="y", visible=False)
    _name_nodes(panel, trace, nodes, lanes)
    others = set(trace.stages["model"][trace.ran].tolist()) - set(colour)
    named = [Patch(color=c, label=trace.model_names[m]) for m, c in colour.items()]
    fig.legend(
        handles=[
            *named,
            *([Patch(color=GREY, label="other models")] if others else []),
            Patch(**_LOADING, label="loading"),
            Patch(facecolor=_ASLEEP, label="asleep"),
        ],
        loc="outside lower center",
        ncols=6,
        fontsize=8,
        frameon=False,
    )
    hidden = len(trace.node_names) - len(nodes)
    note = f" ({len(nodes)} busiest of {len(trace.node_names)} nodes)" if hidden else ""
    panel.set_title(f"{trace.policy}: {trace.scenario}, {trace.contention}, seed {trace.seed}{note}", fontsize=10)
    return fig


def _background(panel: Axes, row: int, span: Span, colour: str) -> None:
    long_s = span.end_s - span.begin_s
    if span.state == "awake":
        panel.barh(row, long_s, 0.16, span.begin_s, color=colour, alpha=0.35, linewidth=0)
    elif span.state == "asleep":
        panel.barh(row, long_s, 0.06, span.begin_s, color=_ASLEEP, linewidth=0)
    else:
        panel.barh(row, long_s, 0.7, span.begin_s, **_LOADING)


def _stages(panel: Axes, trace: Trace, row: int, node: int, model: int, colour: str) -> None:
    ran, (begins_s, _, ends_s) = trace.stages[trace.ran], trace.running_s
    own = (ran["node"] == node) & (ran["model"] == model)
    bars = [
        Rectangle((begin_s, row - 0.4), max(end_s - begin_s, 0.0), 0.8)
        for begin_s, end_s in zip(begins_s[own], ends_s[own], strict=True)
    ]
    panel.add_collection(PatchCollection(bars, facecolor=colour, alpha=0.35, linewidth=0))


def _colours(trace: Trace) -> dict[int, str]:
    frequent = Counter(trace.stages["model"][trace.ran].tolist()).most_common(len(COLOURS) - 1)
    return {model: COLOURS[index] for index, (model, _) in enumerate(sorted(frequent, key=lambda item: -item[1]))}


def _name_nodes(panel: Axes, trace: Trace, nodes: list[int], lanes: list[tuple[int, int]]) -> None:
    rows = [[row for row, (owner, _) in enumerate(lanes) if owner == node] for node in nodes]
    panel.set_yticks([float(np.mean(own)) for own in rows], [trace.node_names[node] for node in nodes])
    panel.tick_params(axis="y", length=0)
    for own in rows[:-1]:
        panel.axhline(own[-1] + 0.5, color="#BBBBBB", linewidth=0.8)
