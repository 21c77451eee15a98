"""What the page is told of an episode: columns of numbers, from which it works out how things stand at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from maestro_gym.evaluation.report.episode_trace import Trace, busiest_nodes
from maestro_gym.evaluation.report.residency import models_of, residency_spans
from maestro_gym.state import CLASS_NAMES

MOST_NODES = 24
"""Nodes that a page shows: the busiest of all its episodes together."""

_KV = ("used", "reserved", "pool")


def watch_document(traces: Sequence[Trace], *, following: bool = False) -> dict[str, Any]:
    """Say everything that the page shows.

    Args:
        traces: One or two episodes of the same workflows.
        following: Whether they still go on, so that the page asks again.

    Returns:
        ``title``, ``following``, ``note``, and ``episodes``: for each its names, times in seconds (None: it never came
        to that), and bytes in GB.
    """
    first = traces[0]
    nodes = busiest_nodes(traces, MOST_NODES)
    # The same rows in all, so that the same place of two episodes is the same engine.
    engines = [
        (node, model) for node in nodes for model in sorted({m for trace in traces for m in models_of(trace, node)})
    ]
    hidden = len(first.node_names) - len(nodes)
    return {
        "title": f"{first.scenario}, {first.contention}, seed {first.seed}",
        "following": following,
        "note": f"the {len(nodes)} busiest of {len(first.node_names)} nodes" if hidden else "",
        "episodes": [_episode(trace, nodes, engines) for trace in traces],
    }


def _episode(trace: Trace, nodes: Sequence[int], engines: Sequence[tuple[int, int]]) -> dict[str, Any]:
    return {
        "policy": trace.policy,
        "end_s": round(trace.end_s, 3),
        "horizon_s": trace.horizon_s,
        "models": trace.model_names,
        "roles": trace.role_names,
        "classes": CLASS_NAMES,
        "nodes": [{"id": node, "name": trace.node_names[node]} for node in nodes],
        "stages": _stages(trace),
        "workflows": {
            **{name: _times(trace.workflows[name]) for name in ("arrival_s", "deadline_s", "finished_s")},
            "rejected_s": _rejected_s(trace),
            **{name: trace.workflows[name].tolist() for name in ("cls", "tenant", "first_stage", "num_stages")},
        },
        "engines": [
            {
                "node": node,
                "model": model,
                "spans": [
                    [round(span.begin_s, 3), round(span.end_s, 3), span.state, span.source]
                    for span in residency_spans(trace, node, model)
                ],
            }
            for node, model in engines
        ],
        "kv": _kv(trace, nodes),
    }


def _stages(trace: Trace) -> dict[str, list[Any]]:
    """Columns of all stages; what runs is what `Trace.ran` knows, so a stage that waits to be begun again waits."""
    begins_s, firsts_s, ends_s = (np.full(len(trace.stages), np.inf) for _ in range(3))
    for column, known in zip((begins_s, firsts_s, ends_s), trace.running_s, strict=True):
        column[trace.ran] = known
    ends_s[~np.isfinite(trace.stages["finished_s"])] = np.inf
    names = ("workflow", "role", "model", "node", "prompt_tokens", "generated_tokens", "preemptions")
    return {
        **{name: trace.stages[name].tolist() for name in names},
        "ready_s": _times(trace.stages["ready_s"]),
        "sent_s": _times(trace.stages["sent_s"]),
        "admitted_s": _times(begins_s),
        "first_token_s": _times(firsts_s),
        "finished_s": _times(ends_s),
    }


def _rejected_s(trace: Trace) -> list[float | None]:
    """When workflows were turned away; a trace of before there was admission has none."""
    rows = trace.workflows
    return _times(rows["rejected_s"]) if "rejected_s" in (rows.dtype.names or ()) else [None] * len(rows)


def _kv(trace: Trace, nodes: Sequence[int]) -> dict[str, list[Any]]:
    """KV memory by node; no rows where the episode has no samples, as of an event log."""
    table = trace.node_samples[:, nodes] if len(trace.node_samples) else trace.node_samples[:0]
    columns = {name: (table[f"kv_{name}_bytes"].astype(float) / 1e9).round(2).tolist() for name in _KV}
    return {"time_s": _times(trace.node_samples_s)[: len(table)], **columns}


def _times(values_s: np.ndarray) -> list[float | None]:
    return [round(value, 3) if np.isfinite(value) else None for value in values_s.tolist()]
