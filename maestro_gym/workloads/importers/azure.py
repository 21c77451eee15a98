"""Azure LLM inference trace 2023: one request a row, no session, no model.

Source: Azure/AzurePublicDataset (Patel et al., Splitwise, ISCA 2024).
"""

from __future__ import annotations

import pandas as pd

from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.importers.counts import at_least_one
from maestro_gym.workloads.importers.moments import seconds_of
from maestro_gym.workloads.traces.checks import numbers
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")

FIELDS: Fields = {
    "arrival_s": ("TIMESTAMP",),
    "prompt_tokens": ("ContextTokens",),
    "output_tokens": ("GeneratedTokens",),
}

# Not in the trace: a chat user's patience.
DEADLINE_S, TTFT_LIMIT_S = 60.0, 5.0


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every request into a workflow of one call.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format; ``model`` is blank.
    """
    output, empty_outputs = at_least_one(numbers(frame, "GeneratedTokens", source, low=0, whole=True), "output")
    prompt, empty_prompts = at_least_one(numbers(frame, "ContextTokens", source, low=0, whole=True), "prompt")
    arrival_s = seconds_of(frame, "TIMESTAMP", source)
    table = pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame[ROW].astype(str),
            "call_id": "0",
            "parent_ids": "",
            "arrival_s": arrival_s,
            "application": "azure_conversation",
            "role": "assistant",
            "model": "",
            "prompt_tokens": prompt,
            "output_tokens": output,
            "max_output_tokens": client_limit(output),
            "tool_gap_s": 0.0,
            "class": "interactive",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
        }
    )
    return Converted(table, (*empty_prompts, *empty_outputs))
