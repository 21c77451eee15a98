"""Metrics of tools with finite places: how long calls wait for one, and how busy the places are (docs/tools.md)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from maestro_gym.episodes.metrics.define import define, define_distribution, share
from maestro_gym.episodes.metrics.outcome import Outcome


def wait_s(outcome: Outcome, tool: int | None = None) -> np.ndarray:
    """Time from asking for a place of a tool to getting it, of every call that asked; censored at ``cap_s``.

    Args:
        outcome: The episode.
        tool: One type alone; None takes all.

    Returns:
        float, shape (calls,) [s].
    """
    asked = np.isfinite(outcome.tool_asked_s) & (outcome.tool >= 0 if tool is None else outcome.tool == tool)
    return np.minimum(outcome.tool_started_s, outcome.cap_s)[asked] - outcome.tool_asked_s[asked]


def utilisation(outcome: Outcome, tool: int | None = None) -> float:
    """Share of the place-seconds of the arrival window in which a call ran; nan without tools.

    Args:
        outcome: The episode.
        tool: One type alone; None takes all.
    """
    mine = outcome.tool >= 0 if tool is None else outcome.tool == tool
    window_s = min(outcome.horizon_s, outcome.end_s)
    begin_s = np.minimum(outcome.tool_started_s[mine], window_s)
    end_s = np.minimum(outcome.tool_ended_s[mine], window_s)
    places = outcome.tool_places.sum() if tool is None else outcome.tool_places[tool]
    return share((end_s - begin_s).sum(), places * window_s)


def _most(outcome: Outcome, value: Callable[[Outcome, int], float]) -> float:
    values = [value(outcome, tool) for tool in range(len(outcome.tool_places))]
    return max((one for one in values if not np.isnan(one)), default=float("nan"))


def _mean_wait_s(outcome: Outcome, tool: int) -> float:
    waits = wait_s(outcome, tool)
    return float(waits.mean()) if len(waits) else float("nan")


define_distribution(
    "tool_wait",
    formula="min(start of the tool, cap) - arrival of the answer that calls it",
    description="Time that a call waits for a place of its tool, over the calls of tools with finite places; 0 where "
    "one is free at once. Missing where tools have no bounds.",
    values=wait_s,
)
define(
    "tool_wait_worst_type_mean_s",
    unit="s",
    better="lower",
    formula="max over types of tools of the mean of min(start of the tool, cap) - arrival of the answer that calls it",
    description="The mean wait at the type of tools where it is longest.",
    compute=lambda o: _most(o, _mean_wait_s),
)
define(
    "tool_utilisation",
    unit="1",
    better="neither",
    formula="sum over calls of their time at a tool inside the arrival window / (places * window)",
    description="Share of the places of all tools that calls occupy. Missing where tools have no bounds.",
    compute=utilisation,
)
define(
    "tool_utilisation_worst_type",
    unit="1",
    better="neither",
    formula="max over types of tools of the time of its calls inside the arrival window / (its places * window)",
    description="The same of the busiest type of tools.",
    compute=lambda o: _most(o, utilisation),
)
