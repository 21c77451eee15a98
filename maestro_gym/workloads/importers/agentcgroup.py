"""agentcgroup calls: coding-agent sessions with long growing contexts and timed tools.

Source: session logs of eunomia-bpf/agentcgroup, reduced to measurements.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from maestro_gym.workloads.importers.chains import held_before, parents_in_line
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.importers.counts import at_least_one
from maestro_gym.workloads.importers.moments import seconds_of
from maestro_gym.workloads.traces.checks import numbers, refuse_rows, text
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = (
    "session_id",
    "session_start",
    "call_index",
    "agent",
    "model",
    "input_tokens",
    "cache_creation_tokens",
    "cache_read_tokens",
    "output_tokens",
    "output_chars",
    "output_tokens_reliable",
    "n_tool_calls",
    "tools",
    "tool_time_s",
)

FIELDS: Fields = {
    "workflow_id": ("session_id",),
    "call_id": ("call_index",),
    "parent_ids": ("call_index",),
    "arrival_s": ("session_start",),
    "role": ("agent",),
    "model": ("model",),
    "prompt_tokens": ("input_tokens", "cache_creation_tokens", "cache_read_tokens"),
    "output_tokens": ("output_tokens", "output_chars", "output_tokens_reliable"),
    "tool_gap_s": ("tool_time_s",),
    "tool_intent": ("n_tool_calls",),
    "tool": ("tools",),
    "ctx_group": ("session_id", "agent"),
}

# Not in the log: an unattended coding task; sessions took up to 1,460 s.
DEADLINE_S, TTFT_LIMIT_S = 1800.0, 60.0
CHARS_PER_TOKEN = 4.0


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every session into a chain of calls with tool gaps and a context that grows.

    The prompt is the whole context: reported input plus the two cache columns where they are
    filled. Outputs that the log marks unreliable are estimated at four characters a token. A call
    reuses what its agent's previous call held, prompt and output, unless the context shrank, which
    means that it was rewritten. Calls of sub-agents stand in line with the others.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    prompt = numbers(frame, "input_tokens", source, low=0, whole=True)
    for column in ("cache_creation_tokens", "cache_read_tokens"):
        prompt = prompt + numbers(frame, column, source, low=0, whole=True, blank=0.0)
    logged = numbers(frame, "output_tokens", source, low=0, whole=True)
    estimated = np.ceil(numbers(frame, "output_chars", source, low=0, whole=True) / CHARS_PER_TOKEN)
    flag = numbers(frame, "output_tokens_reliable", source, low=0, whole=True)
    refuse_rows(frame, flag > 1, "output_tokens_reliable", source, "is neither 0 nor 1")
    reliable = flag == 1
    tool_calls = numbers(frame, "n_tool_calls", source, low=0, whole=True)
    tool_time_s = numbers(frame, "tool_time_s", source, low=0, whole=False, blank=0.0)
    refuse_rows(
        frame, (tool_calls == 0) & (text(frame, "tools") != ""), "tools", source, "names tools, but n_tool_calls is 0"
    )
    refuse_rows(
        frame, (tool_calls == 0) & (tool_time_s > 0), "tool_time_s", source, "is not 0, but n_tool_calls is; mend one"
    )
    prompt, empty_prompts = at_least_one(prompt, "prompt")
    output, empty_outputs = at_least_one(np.where(reliable, logged, estimated), "output")
    guessed = int(np.count_nonzero(~reliable))
    estimates = (
        (f"{guessed} of {len(frame)} outputs are unreliable in the log; they are characters / 4",) if guessed else ()
    )
    frame = frame.assign(
        _start_s=seconds_of(frame, "session_start", source),
        _index=numbers(frame, "call_index", source, low=0, whole=True).astype(np.int64),
        _prompt=prompt,
        _output=output,
        _gap_s=tool_time_s,
        _tool=(tool_calls > 0).astype(np.int64),
    )
    frame = frame.sort_values(["_start_s", "session_id", "_index"], kind="stable").reset_index(drop=True)
    frame["_context"] = frame["session_id"] + "/" + text(frame, "agent")
    table = pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame["session_id"],
            "call_id": frame["_index"].astype(str),
            "parent_ids": parents_in_line(frame, "session_id", "_index"),
            "arrival_s": frame.groupby("session_id", sort=False)["_start_s"].transform("first"),
            "application": "coding_agent",
            "role": text(frame, "agent"),
            "model": text(frame, "model"),
            "prompt_tokens": frame["_prompt"],
            "output_tokens": frame["_output"],
            "max_output_tokens": client_limit(frame["_output"].to_numpy()),
            "tool_gap_s": frame["_gap_s"],
            "tool_intent": frame["_tool"],
            # Several tools of one call: the first names it.
            "tool": np.where(frame["_tool"] == 1, text(frame, "tools").str.split("|").str[0], ""),
            "tools_available": 1,
            "class": "batch",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
            "ctx_group": frame["_context"],
            "ctx_prefix_tokens": held_before(frame, "_context", "_prompt", "_output"),
        }
    )
    return Converted(table, (*empty_prompts, *empty_outputs, *estimates))
