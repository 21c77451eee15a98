"""Mooncake FAST'25 traces: requests with ids of the 512-token prefix blocks they are made of.

Source: kvcache-ai/Mooncake (Qin et al., FAST 2025): timestamp [ms], input_length, output_length, hash_ids.
"""

from __future__ import annotations

import pandas as pd

from maestro_gym.workloads.importers.blocks import block_ids, prefix_groups, refuse_other_sizes
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.importers.counts import at_least_one
from maestro_gym.workloads.traces.checks import numbers
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("timestamp", "input_length", "output_length", "hash_ids")
FIELDS: Fields = {
    "arrival_s": ("timestamp",),
    "prompt_tokens": ("input_length",),
    "output_tokens": ("output_length",),
    "sys_prefix_tokens": ("hash_ids",),
    "ctx_prefix_tokens": ("hash_ids",),
}
BLOCK_TOKENS = 512

# Not in the trace: a chat user's patience, longer contexts allowed for.
DEADLINE_S, TTFT_LIMIT_S = 120.0, 10.0


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every request into a workflow of one call, with prefix groups from its block ids.

    Turns of a conversation are workflows of their own, because the user's next turn is an arrival.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format; ``model`` is blank.
    """
    return requests_of_blocks(
        frame, source, block_tokens=BLOCK_TOKENS, units_per_second=1000.0, application="mooncake_conversation"
    )


def requests_of_blocks(
    frame: pd.DataFrame, source: str, *, block_tokens: int, units_per_second: float, application: str | pd.Series
) -> Converted:
    """Turn requests with block ids into workflows of one call; what the formats of this kind share.

    Args:
        frame: The table, with ``ROW``; its columns are ``COLUMNS``.
        source: The file.
        block_tokens: Tokens of a block.
        units_per_second: Of the time stamps.
        application: Name of the application, or of each row's.

    Returns:
        Calls in the workflow-trace format; ``model`` is blank.

    Raises:
        MaestroError: A cell is bad, or ids and lengths contradict each other.
    """
    frame = frame.assign(
        _arrival_s=numbers(frame, "timestamp", source, low=0, whole=False) / units_per_second, _application=application
    )
    frame = frame.sort_values("_arrival_s", kind="stable").reset_index(drop=True)
    logged = numbers(frame, "output_length", source, low=0, whole=True, unit="tokens")
    output, empty_outputs = at_least_one(logged, "output")
    read = numbers(frame, "input_length", source, low=0, whole=True, unit="tokens")
    prompt, empty_prompts = at_least_one(read, "prompt")
    blocks = block_ids(frame, "hash_ids", source)
    refuse_other_sizes(blocks, read, block_tokens, frame[ROW].tolist(), "hash_ids", source)
    table = pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame[ROW].astype(str),
            "call_id": "0",
            "parent_ids": "",
            "arrival_s": frame["_arrival_s"],
            "application": frame["_application"],
            "role": "assistant",
            "model": "",
            "prompt_tokens": prompt,
            "output_tokens": output,
            "max_output_tokens": client_limit(output),
            "tool_gap_s": 0.0,
            "class": "interactive",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
            **prefix_groups(blocks, prompt, block_tokens),
        }
    )
    unit = "seconds" if units_per_second == 1 else "milliseconds"
    taken = f"timestamp is in {unit}, a block of hash_ids has {block_tokens} tokens (which agrees with input_length)"
    fractions = units_per_second > 1 and bool((numbers(frame, "timestamp", source, low=0, whole=False) % 1 > 0).any())
    doubt = (
        ("timestamps have fractions of a millisecond; if they are seconds, multiply them by 1000",) if fractions else ()
    )
    return Converted(table, (taken, *doubt, *empty_prompts, *empty_outputs))
