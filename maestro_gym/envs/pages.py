"""The observation tables of the docs, written from the columns themselves."""

from __future__ import annotations

from maestro_gym.envs.observation.columns import Column
from maestro_gym.envs.observation.layout import TierSpec


def column_table(columns: tuple[Column, ...]) -> str:
    """A Markdown table of columns: index, name, scale with range, meaning.

    Args:
        columns: in order.

    Returns:
        Lines joined by newlines; ``P`` marks what rests on a prediction.
    """
    rows = ["| # | name | scale | min | meaning |", "| --- | --- | --- | --- | --- |"]
    for i, column in enumerate(columns):
        mark = " (P)" if column.predicted else ""
        rows.append(f"| {i} | `{column.name}` | {column.scale} | {column.low:g} | {column.meaning}{mark} |")
    return "\n".join(rows)


def observation_tables(spec: TierSpec) -> str:
    """The tables of a tier: columns of ``candidates``, then of ``context``."""
    return (
        f"`candidates`: float32, shape (A, {len(spec.row_columns)})\n\n{column_table(spec.row_columns)}\n\n"
        f"`context`: float32, shape ({len(spec.context_columns)},)\n\n{column_table(spec.context_columns)}"
    )
