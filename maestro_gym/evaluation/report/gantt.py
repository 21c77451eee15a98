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
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.report.palette import figure
from maestro_gym.state import DISK, RUNNING, SLEEPING

MAX_NODES = 8
_ASLEEP = "#555555"
_LOADING: Any = {"facecolor": "white", "edgecolor": "#555555", "hatch": "//////", "linewidth": 0.6}


def draw_gantt(trace: Trace) -> Figure:
    """Draw who ran where: a lane for each model of a node, stages as bars, loads and sleeps behind them.

    Args:
        trace: An episode; its busiest nodes are drawn when it has many.
    """
    nodes = _busiest_nodes(trace)
    lanes = [(node, model) for node in nodes for model in _models_of(trace, node)]
    colour = _colours(trace)
    fig, (panel, *_) = figure(1, 1, width=12, height=1.4 + 0.17 * max(6, len(lanes)))
    for row, (node, model) in enumerate(lanes):
        for begin_s, end_s, state in residency_spans(trace, node, model):
            _background(panel, row, begin_s, end_s, state, colour.get(model, GREY))
        _stages(panel, trace, row, node, model, colour.get(model, GREY))
    panel.axvline(trace.horizon_s, color="#333333", linewidth=0.8, linestyle=(0, (4, 3)))
    last_s = max([trace.horizon_s, *trace.finished_s.tolist()]) if len(trace.finished_s) else trace.end_s
    panel.set(xlim=(0, min(trace.end_s, last_s * 1.01)), ylim=(len(lanes) - 0.5, -0.5), xlabel="simulated time [s]")
    panel.grid(axis="y", visible=False)
    _name_nodes(panel, trace, nodes, lanes)
    named = [Patch(color=c, label=trace.model_names[m]) for m, c in colour.items()]
    fig.legend(
        handles=[
            *named,
            *([Patch(color=GREY, label="other models")] if len(set(trace.model.tolist())) > len(named) else []),
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


def residency_spans(trace: Trace, node: int, model: int) -> list[tuple[float, float, str]]:
    """When a model was loading, awake or asleep on a node, from the residency log.

    The log holds three kinds of entries: the start of a load (source and target both where the weights
    were), its end (target RUNNING), and a demotion. What was before the first entry follows from it.

    Args:
        trace: The episode.
        node: Node id.
        model: Model id.

    Returns:
        (begin_s, end_s, state) with state "loading", "awake" or "asleep", in order.
    """
    log = trace.residency_log
    log = log[(log["node"] == node) & (log["model"] == model)]
    if len(log):
        state = _state_of(int(log[0]["source"]))
    else:  # never moved: awake all along if anything ran
        state = "awake" if ((trace.node == node) & (trace.model == model)).any() else ""
    spans, since_s = [], 0.0
    for event in log:
        at_s = float(event["time_s"])
        if state and at_s > since_s:
            spans.append((since_s, at_s, state))
        begins = event["source"] == event["target"]
        state, since_s = ("loading" if begins else _state_of(int(event["target"]))), at_s
    if state and trace.end_s > since_s:
        spans.append((since_s, trace.end_s, state))
    return spans


def _state_of(residency: int) -> str:
    return {RUNNING: "awake", SLEEPING: "asleep"}.get(residency, "")


def _background(panel: Axes, row: int, begin_s: float, end_s: float, state: str, colour: str) -> None:
    if state == "awake":
        panel.barh(row, end_s - begin_s, 0.16, begin_s, color=colour, alpha=0.35, linewidth=0)
    elif state == "asleep":
        panel.barh(row, end_s - begin_s, 0.06, begin_s, color=_ASLEEP, linewidth=0)
    else:
        panel.barh(row, end_s - begin_s, 0.7, begin_s, **_LOADING)


def _stages(panel: Axes, trace: Trace, row: int, node: int, model: int, colour: str) -> None:
    own = (trace.node == node) & (trace.model == model)
    bars = [
        Rectangle((begin_s, row - 0.4), max(end_s - begin_s, 0.0), 0.8)
        for begin_s, end_s in zip(trace.admitted_s[own], trace.finished_s[own], strict=True)
    ]
    panel.add_collection(PatchCollection(bars, facecolor=colour, alpha=0.35, linewidth=0))


def _busiest_nodes(trace: Trace) -> list[int]:
    busy_s = np.bincount(trace.node, trace.finished_s - trace.admitted_s, minlength=len(trace.node_names))
    return sorted(np.argsort(-busy_s, kind="stable")[:MAX_NODES].tolist())


def _models_of(trace: Trace, node: int) -> list[int]:
    """Models that ran on a node, were loaded or slept there; at least one, so that an idle node has a lane."""
    log = trace.residency_log
    moved = log["model"][(log["node"] == node) & (log["target"] >= DISK)]
    return sorted({*trace.model[trace.node == node].tolist(), *moved.tolist()}) or [-1]


def _colours(trace: Trace) -> dict[int, str]:
    frequent = Counter(trace.model.tolist()).most_common(len(COLOURS) - 1)
    return {model: COLOURS[index] for index, (model, _) in enumerate(sorted(frequent, key=lambda item: -item[1]))}


def _name_nodes(panel: Axes, trace: Trace, nodes: list[int], lanes: list[tuple[int, int]]) -> None:
    rows = [[row for row, (owner, _) in enumerate(lanes) if owner == node] for node in nodes]
    panel.set_yticks([float(np.mean(own)) for own in rows], [trace.node_names[node] for node in nodes])
    panel.tick_params(axis="y", length=0)
    for own in rows[:-1]:
        panel.axhline(own[-1] + 0.5, color="#BBBBBB", linewidth=0.8)
