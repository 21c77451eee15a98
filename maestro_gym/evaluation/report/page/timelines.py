"""The episodes that a page carries as timelines, and the ways to see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from maestro_gym.evaluation.comparison import Comparison, Setting
from maestro_gym.evaluation.report.display import SHOWN
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.report.gantt import MAX_NODES
from maestro_gym.evaluation.report.page.answer import standings
from maestro_gym.evaluation.report.page.timeline_nodes import batches, kv_memory, queues
from maestro_gym.evaluation.report.page.timeline_stages import stages
from maestro_gym.evaluation.report.page.timeline_workflows import workflows

MOST_EPISODES, MOST_SCENARIOS = 6, 3
"""Episodes that a page carries, of so many scenarios: up to 300 kB each of the 5 MB that it may have."""

_MOST_POLICIES = 4

VIEWS = {
    "batches": "nodes: residency and batches",
    "workflows": "workflows by stage",
    "stages": "nodes: stages by workflow",
    "kv": "nodes: KV memory",
    "queues": "queues",
}
"""The views, by what the page calls them."""

_DRAWN = {"batches": batches, "workflows": workflows, "stages": stages, "kv": kv_memory, "queues": queues}


@dataclass(frozen=True)
class Timeline:
    """One episode under several policies.

    Attributes:
        title: What it is an episode of.
        words: A sentence about it.
        policies: Names.
        views: By the name of a view, a figure for each policy, as data and layout.
    """

    title: str
    words: str
    policies: list[str]
    views: dict[str, list[dict[str, Any]]]


def timelines_of(comparison: Comparison) -> list[Timeline]:
    """The first seed's episode at the highest load of each of the first scenarios.

    Args:
        comparison: What was found.
    """
    found = []
    scenarios = list(dict.fromkeys(setting.scenario for setting in comparison.settings))[:MOST_SCENARIOS]
    most = min(_MOST_POLICIES, MOST_EPISODES // len(scenarios))
    for scenario in scenarios:
        setting = max((s for s in comparison.settings if s.scenario == scenario), key=lambda setting: setting.load)
        traces = carried(comparison, setting, most)
        if traces:
            hidden = len(traces[0].node_names) - MAX_NODES
            words = f"The episode of seed {traces[0].seed} of {setting.title}."
            words += f" Of {len(traces[0].node_names)} nodes the {MAX_NODES} busiest are shown." if hidden > 0 else ""
            views = {view: drawn(traces) for view, drawn in _DRAWN.items()}
            found.append(Timeline(setting.title, words, [trace.policy for trace in traces], views))
    return found


def carried(comparison: Comparison, setting: Setting, most: int) -> list[Trace]:
    """Traces of the reference, of the best that can be built, of the learned ones, then of the others by rank.

    Args:
        comparison: What was found.
        setting: Scenario and contention.
        most: How many.
    """
    drawn = {
        t.policy: t for t in comparison.traces if (t.scenario, t.contention) == (setting.scenario, setting.contention)
    }
    ranked = [s.policy for s in standings(comparison, setting, SHOWN["slo_attainment"])]
    able = [policy.name for policy in ranked if policy.information != "O"]
    learned = [policy.name for policy in ranked if policy.learned]
    names = dict.fromkeys([comparison.reference, *able[:1], *learned, *able, *(policy.name for policy in ranked)])
    return [drawn[name] for name in names if name in drawn][:most]
