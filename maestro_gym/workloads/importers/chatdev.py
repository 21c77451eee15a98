"""ChatDev calls: software-building jobs of role-playing agents, serial chains of 12 to 50 calls.

Source: logs of OpenBMB/ChatDev (Qian et al., ACL 2024), reduced to numbers and labels.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from maestro_gym.workloads.importers.chains import parents_in_line
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.importers.counts import at_least_one
from maestro_gym.workloads.importers.moments import seconds_of
from maestro_gym.workloads.traces.checks import numbers, text
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = (
    "workflow_id",
    "workflow_start",
    "call_index",
    "role",
    "phase",
    "model",
    "input_tokens",
    "output_tokens",
    "gap_from_prev_end_s",
    "events_before",
)

FIELDS: Fields = {
    "workflow_id": ("workflow_id",),
    "call_id": ("call_index",),
    "parent_ids": ("call_index",),
    "arrival_s": ("workflow_start",),
    "role": ("role", "phase"),
    "model": ("model",),
    "prompt_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "tool_gap_s": ("gap_from_prev_end_s",),
    "tool_intent": ("events_before",),
}

# Not in the log: a job that nobody watches.
DEADLINE_S, TTFT_LIMIT_S = 900.0, 60.0


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every job into a chain; the idle time before a call is the tool gap of the one before.

    The role is named with its phase, which sets the lengths. The log does not say what prompts
    share, so there are no prefix groups: ChatDev builds every phase's prompt afresh.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    prompt, empty_prompts = at_least_one(numbers(frame, "input_tokens", source, low=0, whole=True), "prompt")
    output, empty_outputs = at_least_one(numbers(frame, "output_tokens", source, low=0, whole=True), "output")
    frame = frame.assign(
        _start_s=seconds_of(frame, "workflow_start", source),
        _index=numbers(frame, "call_index", source, low=0, whole=True).astype(np.int64),
        _prompt=prompt,
        _output=output,
        _gap_s=numbers(frame, "gap_from_prev_end_s", source, low=0, whole=False, blank=0.0),
        _event=(text(frame, "events_before") != "").astype(np.int64),
    )
    frame = frame.sort_values(["_start_s", "workflow_id", "_index"], kind="stable").reset_index(drop=True)
    jobs = frame.groupby("workflow_id", sort=False)
    phase = text(frame, "phase")
    table = pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame["workflow_id"],
            "call_id": frame["_index"].astype(str),
            "parent_ids": parents_in_line(frame, "workflow_id", "_index"),
            "arrival_s": jobs["_start_s"].transform("first"),
            "application": "chatdev",
            "role": text(frame, "role") + np.where(phase != "", "/" + phase, ""),
            "model": text(frame, "model"),
            "prompt_tokens": frame["_prompt"],
            "output_tokens": frame["_output"],
            "max_output_tokens": client_limit(frame["_output"].to_numpy()),
            "tool_gap_s": jobs["_gap_s"].shift(-1).fillna(0.0),
            "tool_intent": jobs["_event"].shift(-1).fillna(0).astype(np.int64),
            "tools_available": 1,
            "class": "batch",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
        }
    )
    return Converted(table, (*empty_prompts, *empty_outputs))
