"""Qwen-Bailian traces: requests with ids of the 16-token prefix blocks they are made of.

Source: alibaba-edu/qwen-bailian-usagetraces-anon (Wang et al., USENIX ATC 2025): chat_id, parent_chat_id (-1: a root),
timestamp [s], input_length, output_length, type (text, search, image, file), turn, hash_ids.
"""

from __future__ import annotations

import pandas as pd

from maestro_gym.workloads.importers import mooncake
from maestro_gym.workloads.importers.mooncake import requests_of_blocks
from maestro_gym.workloads.traces.checks import text
from maestro_gym.workloads.traces.format import Converted, Fields

COLUMNS = ("chat_id", *mooncake.COLUMNS)
FIELDS: Fields = {**mooncake.FIELDS, "application": ("type",)}
BLOCK_TOKENS = 16


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every request into a workflow of one call; the request's type names the application.

    What turns of a chat share is told by their block ids, also across chats; ``parent_chat_id`` adds nothing to it.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format; ``model`` is blank.
    """
    kind = text(frame, "type") if "type" in frame.columns else pd.Series([""] * len(frame), index=frame.index)
    application = ("bailian_" + kind.where(kind != "", "text")).astype(str)
    return requests_of_blocks(frame, source, block_tokens=BLOCK_TOKENS, units_per_second=1.0, application=application)
