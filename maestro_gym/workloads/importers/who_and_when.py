"""Who&When: logs of agent teams, Magentic-One (hand-crafted) and AG2 (algorithm-generated).

Source: ag2ai/Agents_Failure_Attribution (Zhang et al., ICML 2025), reduced to lengths (characters / 4) and names.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers.chains import held_before, parents_in_line
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.traces.checks import numbers, refuse_rows, text
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("session_id", "subset", "step", "role", "stage", "is_llm_call", "history_tokens_est", "output_tokens_est")

FIELDS: Fields = {
    "workflow_id": ("session_id",),
    "call_id": ("step",),
    "parent_ids": ("step",),
    "application": ("subset",),
    "role": ("role", "stage"),
    "prompt_tokens": ("history_tokens_est",),
    "output_tokens": ("output_tokens_est",),
}

# Not in the log, which has no clock: an unattended task; a program that a terminal runs.
DEADLINE_S, TTFT_LIMIT_S = 900.0, 60.0
TOOL_GAP_S = 1.0
_TEAMS = {"Hand-Crafted": "magentic_one", "Algorithm-Generated": "ag2"}


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every session into a chain of its LLM calls over one transcript.

    A step that no model made (a terminal) is the tool of the call before it; the first message of a human
    is no tool. The prompt is the whole transcript so far.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format.

    Raises:
        MaestroError: No step is an LLM call.
    """
    called = numbers(frame, "is_llm_call", source, low=0, whole=True)
    refuse_rows(frame, called > 1, "is_llm_call", source, "is neither 0 nor 1")
    frame = frame.assign(
        session_id=text(frame, "session_id"),
        _index=numbers(frame, "step", source, low=0, whole=True).astype(np.int64),
        _prompt=np.maximum(numbers(frame, "history_tokens_est", source, low=0, whole=True), 1),
        _output=np.maximum(numbers(frame, "output_tokens_est", source, low=0, whole=True), 1),
        _llm=called == 1,
        _role=text(frame, "role"),
        _stage=text(frame, "stage"),
    )
    frame = frame.sort_values(["session_id", "_index"], kind="stable").reset_index(drop=True)
    sessions = frame.groupby("session_id", sort=False)
    next_model = sessions["_llm"].shift(-1)
    frame["_tool"] = np.where(next_model.eq(False), sessions["_role"].shift(-1), "")
    steps = len(frame)
    frame = frame.iloc[np.flatnonzero(frame["_llm"])].reset_index(drop=True)
    if len(frame) == 0:
        raise MaestroError(f"{source}: no row has is_llm_call 1; without a call there is nothing to replay.")
    stage = frame["_stage"].where(
        ~frame["_stage"].str.startswith("->"), "instruct " + frame["_stage"].str[2:].str.strip()
    )
    table = pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame["session_id"],
            "call_id": frame["_index"].astype(str),
            "parent_ids": parents_in_line(frame, "session_id", "_index"),
            "arrival_s": 0.0,
            "application": text(frame, "subset").replace(_TEAMS),
            "role": frame["_role"] + np.where(stage != "", "/" + stage, ""),
            "model": "",
            "prompt_tokens": frame["_prompt"],
            "output_tokens": frame["_output"],
            "max_output_tokens": client_limit(frame["_output"].to_numpy()),
            "tool_gap_s": np.where(frame["_tool"] != "", TOOL_GAP_S, 0.0),
            "tool_intent": (frame["_tool"] != "").astype(np.int64),
            "tool": frame["_tool"],
            "tools_available": 1,
            "class": "batch",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
            "ctx_group": frame["session_id"],
            "ctx_prefix_tokens": held_before(frame, "session_id", "_prompt", "_output"),
        }
    )
    return Converted(
        table,
        (
            "tokens are estimates of the log: characters / 4",
            f"the log has no clock: a tool takes {TOOL_GAP_S:g} s, and all sessions arrive at 0",
            f"{steps - len(frame)} of {steps} steps were not made by a model; they are tools of the call before",
        ),
    )
