"""Plain requests: when, how long a prompt, how long an answer; perhaps which model and which shared prefix."""

from __future__ import annotations

import numpy as np
import pandas as pd

from maestro_gym.workloads.importers.azure import DEADLINE_S, TTFT_LIMIT_S
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.traces.checks import numbers, refuse_rows, text
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("arrival_s", "prompt_tokens", "output_tokens")

FIELDS: Fields = {
    "arrival_s": ("arrival_s",),
    "model": ("model",),
    "prompt_tokens": ("prompt_tokens",),
    "output_tokens": ("output_tokens",),
    "max_output_tokens": ("max_output_tokens",),
    "sys_group": ("prefix_group",),
    "sys_prefix_tokens": ("prefix_tokens",),
}


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every request into a workflow of one call.

    ``model`` (blank: the scenario says), ``prefix_group`` (blank: none), ``prefix_tokens`` (leading tokens of the
    prompt that the group shares; needed with a group) and ``max_output_tokens`` may be absent. Rows need no order.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format.

    Raises:
        MaestroError: A cell is bad, or a prefix longer than its prompt.
    """
    prompt = numbers(frame, "prompt_tokens", source, low=1, whole=True)
    output = numbers(frame, "output_tokens", source, low=1, whole=True)
    arrival_s = numbers(frame, "arrival_s", source, low=0, whole=False)
    limit = (
        numbers(frame, "max_output_tokens", source, low=1, whole=True)
        if "max_output_tokens" in frame.columns
        else client_limit(output)
    )
    blank = pd.Series([""] * len(frame), index=frame.index)
    group = text(frame, "prefix_group") if "prefix_group" in frame.columns else blank
    prefix = np.zeros(len(frame))
    if "prefix_tokens" in frame.columns:
        prefix = numbers(frame, "prefix_tokens", source, low=0, whole=True, blank=0.0)
    for wrong, column, message in (
        (prefix > prompt, "prefix_tokens", "is longer than the prompt, which includes it; shorten the prefix"),
        ((prefix > 0) & (group == "").to_numpy(), "prefix_group", "is blank; say who shares these prefix_tokens"),
        ((prefix == 0) & (group != "").to_numpy(), "prefix_tokens", "is 0; say how much the prefix_group shares"),
    ):
        if column in frame.columns:
            refuse_rows(frame, wrong, column, source, message)
    table = pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame[ROW].astype(str),
            "call_id": "0",
            "parent_ids": "",
            "arrival_s": arrival_s,
            "application": "request",
            "role": "request",
            "model": text(frame, "model") if "model" in frame.columns else blank,
            "prompt_tokens": prompt,
            "output_tokens": output,
            "max_output_tokens": limit,
            "tool_gap_s": 0.0,
            "class": "interactive",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
            "sys_group": group,
            "sys_prefix_tokens": prefix,
        }
    )
    return Converted(table)
