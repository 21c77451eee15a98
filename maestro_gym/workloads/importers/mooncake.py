"""Mooncake FAST'25 traces: requests with ids of the 512-token prefix blocks they are made of.

Source: kvcache-ai/Mooncake (Qin et al., FAST 2025). Equal leading ids mean equal leading text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.traces.checks import numbers, place
from maestro_gym.workloads.traces.format import ROW

COLUMNS = ("timestamp", "input_length", "output_length", "hash_ids")
BLOCK_TOKENS = 512

# Not in the trace: a chat user's patience, longer contexts allowed for.
DEADLINE_S, TTFT_LIMIT_S = 120.0, 10.0
_SYSTEM_SHARE, _SYSTEM_COUNT = 0.01, 16


def convert(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Turn every request into a workflow of one call, with prefix groups from its block ids.

    Leading blocks that a hundredth of all requests share are a system prompt. A request that
    shares more than that with an earlier one continues its conversation: same context group. Turns
    of a conversation are workflows of their own, because the user's next turn is an arrival.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        A table of the workflow-trace format; ``model`` is blank.
    """
    output = numbers(frame, "output_length", source, low=0, whole=True)
    prompt = np.maximum(numbers(frame, "input_length", source, low=0, whole=True), 1)
    arrival_s = numbers(frame, "timestamp", source, low=0, whole=False) / 1000.0
    blocks = [_block_ids(value, int(row), source) for value, row in zip(frame["hash_ids"], frame[ROW], strict=True)]
    groups = _prefix_groups(blocks, prompt)
    return pd.DataFrame(
        {
            ROW: frame[ROW],
            "workflow_id": frame[ROW].astype(str),
            "call_id": "0",
            "parent_ids": "",
            "arrival_s": arrival_s,
            "application": "mooncake_conversation",
            "role": "assistant",
            "model": "",
            "prompt_tokens": prompt,
            "output_tokens": np.maximum(output, 1),
            "max_output_tokens": client_limit(output),
            "tool_gap_s": 0.0,
            "class": "interactive",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
            **groups,
        }
    )


def _block_ids(value: object, row: int, source: str) -> list[int]:
    if isinstance(value, list | tuple | np.ndarray) and all(isinstance(block, int | np.integer) for block in value):
        return [int(block) for block in value]
    raise MaestroError(f"{place(source, row, 'hash_ids')}: {str(value)[:40]!r} is no list of whole numbers; give one.")


def _prefix_groups(blocks: list[list[int]], prompt: np.ndarray) -> dict[str, list[str] | list[int]]:
    counts = Counter(block for ids in blocks for block in ids)
    common = max(_SYSTEM_COUNT, _SYSTEM_SHARE * len(blocks))
    holder: dict[int, int] = {}  # block id -> context group that held it last
    latest: list[list[int]] = []  # context group -> blocks of its latest request
    sys_groups, sys_tokens, ctx_groups, ctx_tokens = [], [], [], []
    for ids, most in zip(blocks, prompt.astype(int).tolist(), strict=True):
        system = _leading(ids, lambda _, block: counts[block] >= common)
        continued = _leading(ids[system:], lambda _, block: block in holder)
        if continued:
            group = holder[ids[system + continued - 1]]
            before = latest[group]
            shared = _leading(ids, lambda at, block, before=before: at < len(before) and before[at] == block)
            latest[group] = ids
        else:
            group, shared = len(latest), 0
            latest.append(ids)
        for block in ids[system:]:
            holder[block] = group
        sys_groups.append(f"system-{ids[system - 1]}" if system else "")
        sys_tokens.append(min(system * BLOCK_TOKENS, most))
        ctx_groups.append(f"conversation-{group}")
        ctx_tokens.append(min(shared * BLOCK_TOKENS, most))
    return {
        "sys_group": sys_groups,
        "sys_prefix_tokens": sys_tokens,
        "ctx_group": ctx_groups,
        "ctx_prefix_tokens": ctx_tokens,
    }


def _leading(ids: list[int], holds: Callable[[int, int], bool]) -> int:
    """Count leading blocks for which ``holds(place, block)``."""
    count = 0
    for at, block in enumerate(ids):
        if not holds(at, block):
            break
        count += 1
    return count
