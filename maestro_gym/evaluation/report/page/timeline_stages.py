"""Stages by node: where the stages of the shown workflows ran, each bar told of its workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from maestro_gym.core.colours import COLOURS
from maestro_gym.evaluation.report.chrome_trace import places_of
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.report.page.packed import plain_text
from maestro_gym.evaluation.report.page.timeline_nodes import laid_out, rows_of_nodes
from maestro_gym.evaluation.report.page.timeline_workflows import chosen_workflows
from maestro_gym.state import CLASS_NAMES

_ROW_PX = 72
_FULL = 0.86
"""Part of a node's row that its fullest batch takes."""

_KINDS = (
    (False, False, COLOURS[0], "interactive, deadline met"),
    (True, False, COLOURS[5], "batch, deadline met"),
    (False, True, COLOURS[1], "interactive, deadline missed"),
    (True, True, COLOURS[4], "batch, deadline missed"),
)
"""Class is batch, deadline is missed, colour, words."""


def stages(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """Bars of the stages of the workflows that `chosen_workflows` chooses, on the busiest nodes.

    Args:
        traces: Episodes of the same workflows.

    Returns:
        A figure for each, as data and layout; ``customdata`` of each point is its workflow.
    """
    nodes, chosen = rows_of_nodes(traces), chosen_workflows(traces)
    bars = [{node: _bars(trace, node, chosen) for node in nodes} for trace in traces]
    most = max((place + 1 for own in bars for rows in own.values() for _, place in rows), default=1)
    names = [plain_text(traces[0].node_names[node]) for node in nodes]
    figures = []
    for trace, own in zip(traces, bars, strict=True):
        figure = go.Figure()
        missed = trace.workflows["finished_s"] > trace.workflows["deadline_s"]
        batch = np.array(CLASS_NAMES)[trace.workflows["cls"]] == "batch"
        for is_batch, is_missed, colour, words in _KINDS:
            line = {"color": colour, "width": max(2.0, _FULL * _ROW_PX / most - 1)}
            wanted = (batch == is_batch) & (missed == is_missed)
            figure.add_trace(_lines(trace, own, nodes, wanted, most, words, line))
        figures.append(laid_out(figure, names, traces, row_px=_ROW_PX))
    return figures


def _bars(trace: Trace, node: int, chosen: np.ndarray) -> list[tuple[int, int]]:
    """Rows of `Trace.ran` on a node that belong to some workflows, with the lowest place that is free for each."""
    begins_s, _, ends_s = trace.running_s
    ran = trace.stages[trace.ran]
    own = np.flatnonzero((ran["node"] == node) & np.isin(ran["workflow"], chosen))
    own = own[np.argsort(begins_s[own], kind="stable")]
    return list(zip(own.tolist(), places_of(begins_s[own], ends_s[own]), strict=True))


def _lines(
    trace: Trace,
    bars: dict[int, list[tuple[int, int]]],
    nodes: Sequence[int],
    wanted: np.ndarray,
    most: int,
    words: str,
    line: dict[str, Any],
) -> go.Scatter:
    begins_s, _, ends_s = trace.running_s
    x: list[float | None] = []
    y: list[float | None] = []
    texts: list[str | None] = []
    workflows: list[int | None] = []
    for row, node in enumerate(nodes):
        for at, place in bars[node]:
            stage = trace.stages[trace.ran[at]]
            workflow = int(stage["workflow"])
            if not wanted[workflow]:
                continue
            role = plain_text(trace.role_names[stage["role"]])
            model = plain_text(trace.model_names[stage["model"]])
            height = round(row + _FULL / 2 - _FULL * (place + 0.5) / most, 3)
            text = f"workflow {workflow}, {words}<br>{role} by {model}, {ends_s[at] - begins_s[at]:.1f} s"
            x += [round(float(begins_s[at]), 1), round(float(ends_s[at]), 1), None]
            y += [height, height, None]
            texts += [text, text, None]
            workflows += [workflow, workflow, None]
    hover = "%{text}<br>click: its row among the workflows<extra></extra>"
    return go.Scatter(x=x, y=y, text=texts, customdata=workflows, mode="lines", line=line, hovertemplate=hover)
