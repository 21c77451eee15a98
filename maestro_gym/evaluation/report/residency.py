"""When a model was loading, awake or asleep on a node, from the log of an episode's promotions and demotions."""

from __future__ import annotations

from typing import NamedTuple

from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.state import DISK, RESIDENCY_NAMES, RUNNING, SLEEPING


class Span(NamedTuple):
    """A time for which a model stayed as it was on a node.

    Attributes:
        begin_s: Its begin.
        end_s: Its end.
        state: "loading", "awake" or "asleep".
        source: While loading, the residency from which the weights come, by name; otherwise empty.
    """

    begin_s: float
    end_s: float
    state: str
    source: str = ""


def residency_spans(trace: Trace, node: int, model: int) -> list[Span]:
    """When a model was loading, awake or asleep on a node.

    The log holds three kinds of entries: the start of a load (source and target both where the weights
    were), its end (target RUNNING), and a demotion. What was before the first entry follows from it.

    Args:
        trace: The episode.
        node: Node id.
        model: Model id.

    Returns:
        Spans in their order; none while the model is not resident.
    """
    log = trace.residency_log
    log = log[(log["node"] == node) & (log["model"] == model)]
    source = ""
    if len(log):
        state = _state_of(int(log[0]["source"]))
    else:  # never moved: awake all along if anything ran
        ran = trace.stages[trace.ran]
        state = "awake" if ((ran["node"] == node) & (ran["model"] == model)).any() else ""
    spans, since_s = [], 0.0
    for event in log:
        at_s = float(event["time_s"])
        if state and at_s > since_s:
            spans.append(Span(since_s, at_s, state, source))
        begins = event["source"] == event["target"]
        state, since_s = ("loading" if begins else _state_of(int(event["target"]))), at_s
        source = RESIDENCY_NAMES[int(event["source"])] if begins else ""
    if state and trace.end_s > since_s:
        spans.append(Span(since_s, trace.end_s, state, source))
    return spans


def models_of(trace: Trace, node: int) -> list[int]:
    """Models that ran on a node, were loaded or slept there, in the order of their ids.

    Args:
        trace: The episode.
        node: Node id.
    """
    log, ran = trace.residency_log, trace.stages[trace.ran]
    moved = log["model"][(log["node"] == node) & (log["target"] >= DISK)]
    return sorted({*ran["model"][ran["node"] == node].tolist(), *moved.tolist()})


def _state_of(residency: int) -> str:
    return {RUNNING: "awake", SLEEPING: "asleep"}.get(residency, "")
