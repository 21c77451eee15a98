"""TraceLab rounds: sessions of coding agents as chains of rounds with the time that tools and users took in between.

Source: uw-syfi/TraceLab, replay/README.md: session_id (or id), arrival_time [ms] of the session (absent: 0), round_idx,
prefix_len (context kept), input_len (tokens appended), output_len, tool_wait_after_ms.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from maestro_gym.workloads.importers.chains import parents_in_line
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.importers.counts import at_least_one
from maestro_gym.workloads.traces.checks import numbers, require_columns, text
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("round_idx", "prefix_len", "input_len", "output_len", "tool_wait_after_ms")
FIELDS: Fields = {
    "workflow_id": ("session_id", "id"),
    "call_id": ("round_idx",),
    "parent_ids": ("round_idx",),
    "arrival_s": ("arrival_time",),
    "prompt_tokens": ("prefix_len", "input_len"),
    "output_tokens": ("output_len",),
    "tool_gap_s": ("tool_wait_after_ms",),
    "tool_intent": ("tool_wait_after_ms",),
    "ctx_group": ("session_id", "id"),
    "ctx_prefix_tokens": ("prefix_len",),
}

# Not in the trace: an unattended coding task.
DEADLINE_S, TTFT_LIMIT_S = 1800.0, 60.0


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every session into a chain; the prompt is the context kept and what was appended.

    A round that keeps more than its session held before (a session cut out of a longer one) shares what was held.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format; ``model`` is blank.
    """
    session = "session_id" if "session_id" in frame.columns else "id"
    require_columns(frame, [session], source, "tracelab")
    lengths = {
        column: numbers(frame, column, source, low=0, whole=True, unit="tokens")
        for column in ("prefix_len", "input_len", "output_len")
    }
    prompt, empty_prompts = at_least_one(lengths["prefix_len"] + lengths["input_len"], "prompt")
    output, empty_outputs = at_least_one(lengths["output_len"], "output")
    arrival_ms = (
        numbers(frame, "arrival_time", source, low=0, whole=False, blank=0.0, unit="milliseconds")
        if "arrival_time" in frame.columns
        else np.zeros(len(frame))
    )
    gap_ms = numbers(frame, "tool_wait_after_ms", source, low=0, whole=False, blank=0.0, unit="milliseconds")
    frame = frame.assign(
        _session=text(frame, session),
        _round=numbers(frame, "round_idx", source, low=0, whole=True).astype(np.int64),
        _arrival_s=arrival_ms / 1e3,
        _prompt=prompt,
        _output=output,
        _kept=lengths["prefix_len"],
        _gap_s=gap_ms / 1e3,
    )
    first = frame.groupby("_session", sort=False)["_arrival_s"].transform("first")
    frame = frame.assign(_first_s=first).sort_values(["_first_s", "_session", "_round"], kind="stable")
    frame = frame.reset_index(drop=True)
    sessions = frame.groupby("_session", sort=False)
    held = (sessions["_prompt"].shift(1) + sessions["_output"].shift(1)).fillna(0.0)
    beyond = int(np.count_nonzero((frame["_kept"] > held).to_numpy()))
    cut = f"{beyond} of {len(frame)} rounds keep more context than their session held before; they share what was held"
    table = pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame["_session"],
            "call_id": frame["_round"].astype(str),
            "parent_ids": parents_in_line(frame, "_session", "_round"),
            "arrival_s": frame["_arrival_s"],
            "application": "tracelab",
            "role": "agent",
            "model": "",
            "prompt_tokens": frame["_prompt"],
            "output_tokens": frame["_output"],
            "max_output_tokens": client_limit(output),
            "tool_gap_s": frame["_gap_s"],
            "tool_intent": (frame["_gap_s"] > 0).astype(np.int64),
            "tools_available": 1,
            "class": "batch",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
            "ctx_group": frame["_session"],
            "ctx_prefix_tokens": np.minimum(frame["_kept"], held),
        }
    )
    units = "arrival_time and tool_wait_after_ms are in milliseconds"
    return Converted(table, (units, *empty_prompts, *empty_outputs, *((cut,) if beyond else ())))
