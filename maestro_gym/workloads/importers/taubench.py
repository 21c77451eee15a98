"""tau-bench trajectories: an agent with tools talks to a simulated customer of an airline.

Source: sierra-research/tau-bench, historical trajectories of GPT-4o, reduced to lengths (characters / 4) and names.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from maestro_gym.state import BLOCK_TOKENS
from maestro_gym.workloads.importers.chains import held_before, parents_in_line
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.traces.checks import numbers, refuse_rows, text
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = (
    "session_id",
    "call_index",
    "input_tokens_est",
    "output_tokens_est",
    "tool_intent",
    "tool_name",
    "next_event",
)

FIELDS: Fields = {
    "workflow_id": ("session_id",),
    "call_id": ("call_index",),
    "parent_ids": ("call_index",),
    "prompt_tokens": ("input_tokens_est",),
    "output_tokens": ("output_tokens_est",),
    "tool_intent": ("tool_intent",),
    "tool": ("tool_name",),
    "tool_gap_s": ("next_event",),
}

# Not in the log, which has no clock: a caller who waits; a look-up in a database; a customer who reads and writes.
DEADLINE_S, TTFT_LIMIT_S = 300.0, 5.0
TOOL_GAP_S, USER_GAP_S = 0.3, 8.0
_EVENTS = ("tool", "user", "end", "")


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every session into a chain with one growing context.

    The policy at its head is the same in all sessions: as much as the shortest first prompt, whole blocks.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    frame = frame.assign(
        session_id=text(frame, "session_id"),
        _index=numbers(frame, "call_index", source, low=0, whole=True).astype(np.int64),
        _prompt=np.maximum(numbers(frame, "input_tokens_est", source, low=0, whole=True), 1),
        _output=np.maximum(numbers(frame, "output_tokens_est", source, low=0, whole=True), 1),
        _tool=numbers(frame, "tool_intent", source, low=0, whole=True).astype(np.int64),
        _next=text(frame, "next_event"),
    )
    refuse_rows(
        frame,
        (frame["_tool"] == 0) & (text(frame, "tool_name") != ""),
        "tool_name",
        source,
        "is named, but tool_intent is 0",
    )
    refuse_rows(
        frame, ~frame["_next"].isin(_EVENTS), "next_event", source, f"is no event; write {', '.join(_EVENTS[:-1])}"
    )
    frame = frame.sort_values(["session_id", "_index"], kind="stable").reset_index(drop=True)
    first = frame.groupby("session_id", sort=False)["_prompt"].first()
    policy_tokens = int(np.min(first.to_numpy())) // BLOCK_TOKENS * BLOCK_TOKENS
    gap_s = np.select([frame["_next"] == "tool", frame["_next"] == "user"], [TOOL_GAP_S, USER_GAP_S], 0.0)
    table = pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame["session_id"],
            "call_id": frame["_index"].astype(str),
            "parent_ids": parents_in_line(frame, "session_id", "_index"),
            "arrival_s": 0.0,
            "application": "tau_bench",
            "role": "agent",
            "model": "",
            "prompt_tokens": frame["_prompt"],
            "output_tokens": frame["_output"],
            "max_output_tokens": client_limit(frame["_output"].to_numpy()),
            "tool_gap_s": gap_s,
            "tool_intent": frame["_tool"],
            "tool": np.where(frame["_tool"] == 1, text(frame, "tool_name"), ""),
            "tools_available": len(set(text(frame, "tool_name")) - {""}),
            "class": "interactive",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
            "sys_group": "policy" if policy_tokens else "",
            "sys_prefix_tokens": np.minimum(policy_tokens, frame["_prompt"]),
            "ctx_group": frame["session_id"],
            "ctx_prefix_tokens": held_before(frame, "session_id", "_prompt", "_output"),
        }
    )
    return Converted(
        table,
        (
            "tokens are estimates of the log: characters / 4",
            f"no clock in the log: tools take {TOOL_GAP_S:g} s, the customer {USER_GAP_S:g} s, all arrive at 0",
        ),
    )
