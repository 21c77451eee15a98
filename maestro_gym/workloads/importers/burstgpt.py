"""BurstGPT: one request to GPT-3.5 or GPT-4 a row, no session in the published columns.

Source: HPMLL/BurstGPT (Wang et al., arXiv 2401.17644), as published: Timestamp [s], Model, Request tokens,
Response tokens, Total tokens, Log Type.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.importers.counts import at_least_one
from maestro_gym.workloads.traces.checks import numbers, place, text
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("Timestamp", "Model", "Request tokens", "Response tokens", "Total tokens", "Log Type")

FIELDS: Fields = {
    "arrival_s": ("Timestamp",),
    "application": ("Log Type",),
    "model": ("Model",),
    "prompt_tokens": ("Request tokens",),
    "output_tokens": ("Response tokens",),
}

# Not in the trace: a chat user's patience.
DEADLINE_S, TTFT_LIMIT_S = 60.0, 5.0


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every request into a workflow of one call; the log type names the application.

    Requests with an empty response are the failures that the authors speak of: they are left out.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format.

    Raises:
        MaestroError: The tokens of a row do not add up, or no request has a response.
    """
    counted = {
        column: numbers(frame, column, source, low=0, whole=True)
        for column in ("Request tokens", "Response tokens", "Total tokens")
    }
    wrong = np.flatnonzero(counted["Request tokens"] + counted["Response tokens"] != counted["Total tokens"])
    if len(wrong):
        at = int(wrong[0])
        raise MaestroError(
            f"{place(source, int(frame[ROW].iloc[at]), 'Total tokens')}: the value {counted['Total tokens'][at]:.0f} "
            "is not the sum of request and response tokens; mend the row."
        )
    arrival_s = numbers(frame, "Timestamp", source, low=0, whole=False)
    answered = counted["Response tokens"] > 0
    if not answered.any():
        raise MaestroError(f"{source}: no request has response tokens; nothing was served that could be replayed.")
    prompt, empty_prompts = at_least_one(counted["Request tokens"], "prompt")
    kind = text(frame, "Log Type").str.lower().str.replace(r"[^a-z0-9]+", "_", regex=True).str.strip("_")
    table = pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame[ROW].astype(str),
            "call_id": "0",
            "parent_ids": "",
            "arrival_s": arrival_s,
            "application": "burstgpt" + np.where(kind != "", "_" + kind, ""),
            "role": "assistant",
            "model": text(frame, "Model"),
            "prompt_tokens": prompt,
            "output_tokens": counted["Response tokens"],
            "max_output_tokens": client_limit(counted["Response tokens"]),
            "tool_gap_s": 0.0,
            "class": "interactive",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
        }
    )
    failed = int(np.count_nonzero(~answered))
    notes = (
        (f"{failed} of {len(frame)} requests have no response tokens: failures, which are left out",) if failed else ()
    )
    return Converted(table.iloc[np.flatnonzero(answered)].reset_index(drop=True), (*empty_prompts, *notes))
