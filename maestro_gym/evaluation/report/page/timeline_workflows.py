"""Workflows by stage: a row a workflow, from arrival to end, with what each of its stages waited for and did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from maestro_gym.core.colours import COLOURS
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.report.page.packed import figure_document, plain_text
from maestro_gym.evaluation.report.page.timeline_nodes import LEFT_PX, RIGHT_PX
from maestro_gym.state import CLASS_NAMES

MOST_WORKFLOWS = 120
"""Workflows that a page carries, in a row as they arrived."""

FIRST_ROWS = 30
"""Rows that are seen before anything is moved."""

_LANES = 3
_ROW_PX = 18
_PARTS = (
    ("waits for dispatch", "ready_s", "sent_s", "#C9CED4", 4),
    ("waits at its node", "sent_s", "admitted_s", COLOURS[4], 4),
    ("prefill", "admitted_s", "first_token_s", COLOURS[1], 5),
    ("decode", "first_token_s", "finished_s", COLOURS[0], 5),
)
"""Parts of a stage's life: words, begin, end, colour and width."""


def chosen_workflows(traces: Sequence[Trace]) -> np.ndarray:
    """Ids of the workflows that are shown: those that arrived around the fullest moment of the first episode.

    Args:
        traces: Episodes of the same workflows.
    """
    arrivals_s, samples = traces[0].workflows["arrival_s"], traces[0].samples
    fullest_s = float(samples["time_s"][np.argmax(samples["workflows"])]) if len(samples) else 0.0
    middle = int(np.searchsorted(arrivals_s, min(fullest_s, traces[0].horizon_s)))
    first = int(np.clip(middle - MOST_WORKFLOWS // 2, 0, max(0, len(arrivals_s) - MOST_WORKFLOWS)))
    return np.arange(first, min(len(arrivals_s), first + MOST_WORKFLOWS))


def workflows(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """The same workflows under each policy.

    Args:
        traces: Episodes of the same workflows.

    Returns:
        A figure for each, as data and layout.
    """
    chosen = chosen_workflows(traces)
    begin_s = float(traces[0].workflows["arrival_s"][chosen].min(initial=np.inf)) if len(chosen) else 0.0
    seen = chosen[:FIRST_ROWS]
    last_s = max((_last_s(trace, seen) for trace in traces), default=1.0)
    return [_figure(trace, chosen, begin_s, last_s) for trace in traces]


def _last_s(trace: Trace, seen: np.ndarray) -> float:
    """By when most of some workflows have ended; the few that take longest would leave no room for the others."""
    if not len(seen):
        return trace.end_s
    return float(np.quantile(np.minimum(trace.workflows["finished_s"][seen], trace.end_s), 0.9))


def _figure(trace: Trace, chosen: np.ndarray, begin_s: float, last_s: float) -> dict[str, Any]:
    figure = go.Figure()
    rows = {int(workflow): row for row, workflow in enumerate(chosen)}
    for words, begin, end, colour, width in _PARTS:
        figure.add_trace(_part(trace, rows, words, begin, end, {"color": colour, "width": width}))
    own = trace.workflows[chosen]
    met = own["finished_s"] <= own["deadline_s"]
    for kept, symbol, colour, words in (
        (True, "line-ns-open", "#00694C", "deadline, met"),
        (False, "x-thin-open", "#B03A00", "deadline, missed"),
    ):
        at = np.flatnonzero(met == kept)
        figure.add_trace(
            go.Scatter(
                x=own["deadline_s"][at].round(1),
                y=at,
                mode="markers",
                marker={"symbol": symbol, "size": 9, "color": colour, "line": {"width": 2, "color": colour}},
                hovertemplate=f"{words} %{{x:.1f}} s<extra></extra>",
            )
        )
    kinds = [CLASS_NAMES[kind] for kind in own["cls"]]
    figure.update_layout(
        height=68 + _ROW_PX * min(FIRST_ROWS, max(1, len(chosen))),
        margin={"l": LEFT_PX, "r": RIGHT_PX, "t": 8, "b": 52},
        showlegend=False,
        xaxis={"range": [begin_s, last_s + 0.05 * (last_s - begin_s)], "title": {"text": "simulated time [s]"}},
        yaxis={
            "tickvals": list(range(len(chosen))),
            "ticktext": [f"{workflow} {kind}" for workflow, kind in zip(chosen, kinds, strict=True)],
            "tickfont": {"size": 10},
            "range": [min(FIRST_ROWS, len(chosen)) - 0.4, -0.6],
            "showgrid": False,
            "zeroline": False,
        },
    )
    return figure_document(figure)


def _part(trace: Trace, rows: dict[int, int], words: str, begin: str, end: str, line: dict[str, Any]) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    texts: list[str | None] = []
    workflows: list[int | None] = []
    for workflow, row in rows.items():
        about = trace.workflows[workflow]
        for number in range(about["num_stages"]):
            stage = trace.stages[about["first_stage"] + number]
            begin_s = float(stage[begin])
            end_s = min(float(max(stage[end], begin_s)), trace.end_s)
            if not begin_s < end_s:
                continue
            lane = row + (number % _LANES - (_LANES - 1) / 2) * 0.26
            role = plain_text(trace.role_names[stage["role"]])
            text = f"workflow {workflow}, {role}<br>{words}, {end_s - begin_s:.1f} s"
            x += [round(begin_s, 1), round(end_s, 1), None]
            y += [lane, lane, None]
            texts += [text, text, None]
            workflows += [workflow, workflow, None]
    hover = "%{text}<br>click: pick this workflow<extra></extra>"
    return go.Scatter(
        x=x, y=y, text=texts, customdata=workflows, mode="lines", line=line, hovertemplate=hover, name=words
    )
