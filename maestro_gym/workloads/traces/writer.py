"""Writes an episode as a workflow trace, so that any workload can be replayed, edited or shared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import whole_file
from maestro_gym.state import CLASS_NAMES, Episode
from maestro_gym.workloads.traces.format import COLUMNS, Trace
from maestro_gym.workloads.workload import Workload


def episode_table(episode: Episode, workload: Workload, model_names: Sequence[str]) -> pd.DataFrame:
    """Lay an episode out in the workflow-trace format.

    Args:
        episode: The episode.
        workload: What made it; it knows the names.
        model_names: Deployments, by id.

    Returns:
        One row a call.
    """
    stages, hidden = episode.stages, episode.hidden
    owners = episode.workflows[stages["workflow"]]
    local = np.arange(len(stages)) - owners["first_stage"]
    parents: list[list[str]] = [[] for _ in range(len(stages))]
    for s in range(len(stages)):
        start = hidden["child_start"][s]
        for child in episode.children[start : start + hidden["num_children"][s]]:
            parents[child].append(str(local[s]))
    table = {
        "workflow_id": stages["workflow"],
        "call_id": local,
        "parent_ids": ["|".join(names) for names in parents],
        "arrival_s": owners["arrival_s"],
        "application": [workload.application_names[i] for i in owners["application"]],
        "role": [workload.role_names[i] for i in stages["role"]],
        "model": [model_names[i] for i in stages["model"]],
        "output_tokens": hidden["output_tokens"],
        "tool_gap_s": hidden["tool_gap_s"],
        "class": [CLASS_NAMES[i] for i in owners["cls"]],
        "deadline_s": owners["deadline_s"] - owners["arrival_s"],
        "ttft_limit_s": owners["ttft_limit_s"],
        "tenant": [workload.tenant_names[i] for i in owners["tenant"]],
        "weight": owners["weight"],
        "tool_intent": hidden["tool_intent"],
        "tool": "",  # an episode does not know its name
        "sys_group": ["" if g < 0 else f"sys-{g}" for g in stages["sys_group"]],
        "ctx_group": ["" if g < 0 else f"ctx-{g}" for g in stages["ctx_group"]],
    }
    table |= {name: stages[name] for name in COLUMNS if name not in table}
    return pd.DataFrame({name: table[name] for name in COLUMNS})


def trace_table(trace: Trace) -> pd.DataFrame:
    """Lay a trace out in the workflow-trace format, workflows and calls numbered anew.

    Args:
        trace: The trace.

    Returns:
        One row a call.
    """
    stages, hidden = trace.stages, trace.hidden
    owners = trace.workflows[stages["workflow"]]
    bounds = trace.parent_start
    parents = ["|".join(map(str, trace.parents[bounds[s] : bounds[s + 1]])) for s in range(len(stages))]
    table = {
        "workflow_id": stages["workflow"],
        "call_id": np.arange(len(stages)) - owners["first_stage"],
        "parent_ids": parents,
        "arrival_s": owners["arrival_s"],
        "application": [trace.application_names[i] for i in owners["application"]],
        "role": [trace.role_names[i] for i in stages["role"]],
        "model": [trace.model_names[i] for i in stages["model"]],
        "output_tokens": hidden["output_tokens"],
        "tool_gap_s": hidden["tool_gap_s"],
        "class": [CLASS_NAMES[i] for i in owners["cls"]],
        "deadline_s": owners["deadline_s"],
        "ttft_limit_s": owners["ttft_limit_s"],
        "tenant": [trace.tenant_names[i] for i in owners["tenant"]],
        "weight": owners["weight"],
        "tool_intent": hidden["tool_intent"],
        "tool": [trace.tool_names[i] for i in trace.tools],
        "sys_group": ["" if g < 0 else f"sys-{g}" for g in stages["sys_group"]],
        "ctx_group": ["" if g < 0 else f"ctx-{g}" for g in stages["ctx_group"]],
    }
    table |= {name: stages[name] for name in COLUMNS if name not in table}
    return pd.DataFrame({name: table[name] for name in COLUMNS})


def write_trace(episode: Episode, workload: Workload, model_names: Sequence[str], path: str | Path) -> None:
    """Write an episode as a workflow trace.

    Args:
        episode: The episode.
        workload: What made it.
        model_names: Deployments, by id.
        path: A .csv or .parquet file.

    Raises:
        MaestroError: The suffix is another, or the file cannot be written.
    """
    write_table(episode_table(episode, workload, model_names), path)


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table of the workflow-trace format.

    Args:
        table: One row a call.
        path: A .csv or .parquet file.

    Raises:
        MaestroError: The suffix is another, or the file cannot be written.
    """
    path = Path(path)
    try:
        if path.suffix not in (".csv", ".parquet"):
            raise MaestroError(f"{path}: a trace is written as .csv or .parquet; choose one of the two.")
        with whole_file(path) as part:
            if path.suffix == ".csv":
                table.to_csv(part, index=False)
            else:
                table.to_parquet(part, index=False)
    except OSError as error:
        raise MaestroError(f"{path}: cannot be written ({error.strerror or error}).") from None
