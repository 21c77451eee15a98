"""LMCache agent traces: sessions of Magentic-One, mini-SWE-agent and tau-bench with prefix reuse.

Source: LMCache/lmcache-agent-trace, reduced to lengths (characters / 4) and labels.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from maestro_gym.workloads.importers.chains import parents_in_line
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.traces.checks import numbers, refuse_rows, text
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = (
    "app",
    "session_id",
    "call_index",
    "t_log_s",
    "role_inferred",
    "stage_inferred",
    "tool_intent",
    "input_tokens_est",
    "output_tokens_est",
    "shared_prefix_tokens_est",
)

FIELDS: Fields = {
    "workflow_id": ("session_id",),
    "call_id": ("call_index",),
    "parent_ids": ("call_index",),
    "application": ("app",),
    "role": ("role_inferred", "stage_inferred"),
    "prompt_tokens": ("input_tokens_est",),
    "output_tokens": ("output_tokens_est",),
    "tool_gap_s": ("t_log_s",),
    "tool_intent": ("tool_intent",),
    "ctx_prefix_tokens": ("shared_prefix_tokens_est",),
}

# Not in the log: unattended tasks; sessions took minutes. A session's day and hour were not kept: they begin together.
DEADLINE_S, TTFT_LIMIT_S = 900.0, 60.0
_FAST = 0.1


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every session into a chain of calls.

    There is one time stamp a call, so that the time to the next stamp holds the answer and what came
    after it. The answer is taken to need what the fastest tenth of an application's calls of 50 tokens or
    more needed a token; the rest is the gap. Inputs that the log left empty (screenshots) are taken as
    the median of the application's others. A role's calls share a context as far as the log's longest common
    prefix says.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    frame = frame.assign(
        session_id=text(frame, "session_id"),
        _index=numbers(frame, "call_index", source, low=0, whole=True).astype(np.int64),
        _time_s=numbers(frame, "t_log_s", source, low=0, whole=False),
        _prompt=numbers(frame, "input_tokens_est", source, low=0, whole=True),
        _output=np.maximum(numbers(frame, "output_tokens_est", source, low=0, whole=True), 1),
        _shared=numbers(frame, "shared_prefix_tokens_est", source, low=0, whole=True),
        _tool=numbers(frame, "tool_intent", source, low=0, whole=True).astype(np.int64),
        _app=text(frame, "app"),
        _role=text(frame, "role_inferred"),
        _stage=text(frame, "stage_inferred"),
    )
    refuse_rows(
        frame,
        (frame["_shared"] > frame["_prompt"]) & (frame["_prompt"] > 0),
        "shared_prefix_tokens_est",
        source,
        "is more than input_tokens_est, of which it is a part",
    )
    frame = frame.sort_values(["_app", "session_id", "_index"], kind="stable").reset_index(drop=True)
    empty = bool((frame["_prompt"] == 0).any())
    known = frame["_prompt"].where(frame["_prompt"] > 0)
    frame["_prompt"] = known.fillna(known.groupby(frame["_app"]).transform("median")).fillna(1).round()
    after_s = -frame.groupby("session_id", sort=False)["_time_s"].diff(-1)
    pace = (after_s / frame["_output"]).where(frame["_output"] >= 50)
    token_s = pace.groupby(frame["_app"]).transform(lambda part: part.quantile(_FAST)).fillna(0.0)
    role = frame["_role"] + np.where(frame["_stage"] != "", "/" + frame["_stage"], "")
    context = frame["session_id"] + "/" + role
    repeated = context.duplicated().to_numpy()
    table = pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame["session_id"],
            "call_id": frame["_index"].astype(str),
            "parent_ids": parents_in_line(frame, "session_id", "_index"),
            "arrival_s": 0.0,
            "application": frame["_app"],
            "role": role,
            "model": "",
            "prompt_tokens": frame["_prompt"],
            "output_tokens": frame["_output"],
            "max_output_tokens": client_limit(frame["_output"].to_numpy()),
            "tool_gap_s": np.maximum(after_s - token_s * frame["_output"], 0.0).fillna(0.0).round(3),
            "tool_intent": frame["_tool"],
            "tools_available": frame.groupby(["_app", "_role"])["_tool"].transform("max"),
            "class": "batch",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
            "ctx_group": context,
            "ctx_prefix_tokens": np.where(repeated, np.minimum(frame["_shared"], frame["_prompt"]), 0),
        }
    )
    return Converted(
        table,
        (
            "tokens are estimates of the log: characters / 4",
            "the log has one time stamp a call: a gap is the time to the next less the answer at a fast pace",
            *(("inputs that the log left empty have their application's median",) if empty else ()),
        ),
    )
