"""Ids of prefix blocks: equal leading ids mean equal leading text, and the number of ids tells the size of a block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.traces.checks import place
from maestro_gym.workloads.traces.format import ROW

Blocks = Sequence[Hashable]

_SIZES = (16, 32, 64, 128, 256, 512, 1024)
# A system prompt is what a hundredth of all requests share, sixteen at least.
_SYSTEM_SHARE, _SYSTEM_COUNT = 0.01, 16


def block_ids(frame: pd.DataFrame, column: str, source: str) -> list[Blocks]:
    """Read a column of lists of block ids.

    Args:
        frame: The table, with ``ROW``.
        column: The column.
        source: The file.

    Returns:
        Ids, whole numbers or texts, of every row.

    Raises:
        MaestroError: A cell is no such list.
    """
    found: list[Blocks] = []
    for value, row in zip(frame[column], frame[ROW], strict=True):
        ids = value.tolist() if isinstance(value, np.ndarray) else value
        if not isinstance(ids, list) or not all(isinstance(i, int | str) and not isinstance(i, bool) for i in ids):
            raise MaestroError(
                f"{place(source, int(row), column)}: {str(value)[:40]!r} is no list of whole numbers; give one."
            )
        found.append(ids)
    return found


def refuse_other_sizes(
    blocks: Sequence[Blocks], prompt: np.ndarray, block_tokens: int, rows: Sequence[int], column: str, source: str
) -> None:
    """Refuse ids that do not cover their prompt: blocks are then of another size, or lengths of other prompts.

    A last block, full or not, may have an id or none.

    Args:
        blocks: Ids of every call.
        prompt: Tokens of every call.
        block_tokens: Tokens of a block.
        rows: Rows of the file.
        column: Column of the ids.
        source: The file.

    Raises:
        MaestroError: Ids and lengths contradict each other.
    """
    for ids, tokens, row in zip(blocks, prompt.astype(int).tolist(), rows, strict=True):
        if _covers(len(ids), tokens, block_tokens):
            continue
        fit = [size for size in _SIZES if all(map(_covers, map(len, blocks), prompt.tolist(), [size] * len(blocks)))]
        guess = f" All rows would fit blocks of {' or '.join(map(str, fit))} tokens." if fit else ""
        raise MaestroError(
            f"{place(source, int(row), column)}: {len(ids)} blocks of {block_tokens} tokens cannot make a prompt of "
            f"{tokens}, which has {-(-tokens // block_tokens)}.{guess} Mend the lengths, or name the file's format."
        )


def _covers(count: int, tokens: float, block_tokens: int) -> bool:
    return abs(count * block_tokens - tokens) <= block_tokens


def common_blocks(one: Blocks, other: Blocks) -> int:
    """Count the leading ids that two prompts share."""
    return _leading(one, lambda at, block: at < len(other) and other[at] == block)


def prefix_groups(blocks: Sequence[Blocks], prompt: np.ndarray, block_tokens: int) -> dict[str, list[str] | list[int]]:
    """Find what single requests share with earlier ones.

    Leading blocks that a hundredth of all requests share are a system prompt. A request that shares more than that
    with an earlier one continues its conversation: same context group.

    Args:
        blocks: Ids of every request, in order of time.
        prompt: Tokens of every request.
        block_tokens: Tokens of a block.

    Returns:
        The four columns of prefix groups of the workflow-trace format.
    """
    counts = Counter(block for ids in blocks for block in ids)
    common = max(_SYSTEM_COUNT, _SYSTEM_SHARE * len(blocks))
    holder: dict[Hashable, int] = {}  # block id -> context group that held it last
    latest: list[Blocks] = []  # context group -> blocks of its latest request
    sys_groups, sys_tokens, ctx_groups, ctx_tokens = [], [], [], []
    for ids, most in zip(blocks, prompt.astype(int).tolist(), strict=True):
        system = _leading(ids, lambda _, block: counts[block] >= common)
        continued = _leading(ids[system:], lambda _, block: block in holder)
        if continued:
            group = holder[ids[system + continued - 1]]
            shared = common_blocks(ids, latest[group])
            latest[group] = ids
        else:
            group, shared = len(latest), 0
            latest.append(ids)
        for block in ids[system:]:
            holder[block] = group
        sys_groups.append(f"system-{ids[system - 1]}" if system else "")
        # The last block may not be full.
        sys_tokens.append(min(system * block_tokens, most))
        ctx_groups.append(f"conversation-{group}")
        ctx_tokens.append(min(shared * block_tokens, most))
    return {
        "sys_group": sys_groups,
        "sys_prefix_tokens": sys_tokens,
        "ctx_group": ctx_groups,
        "ctx_prefix_tokens": ctx_tokens,
    }


def _leading(ids: Blocks, holds: Callable[[int, Hashable], bool]) -> int:
    """Count leading blocks for which ``holds(place, block)``."""
    count = 0
    for at, block in enumerate(ids):
        if not holds(at, block):
            break
        count += 1
    return count
