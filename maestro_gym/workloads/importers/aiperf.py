"""AIPerf's records of requests, profile_export.jsonl: one request a line, with its conversation and its times.

Source: ai-dynamo/aiperf, docs/tutorials/working-with-profile-exports.md: metadata (conversation_id, x_correlation_id,
turn_index, request_start_ns, request_end_ns, benchmark_phase, was_cancelled), metrics of value and unit, error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers.azure import DEADLINE_S, TTFT_LIMIT_S
from maestro_gym.workloads.importers.moments import refuse_other_units
from maestro_gym.workloads.importers.records import at, records, whole, words
from maestro_gym.workloads.importers.spans import Recorder, Span, workflows_of
from maestro_gym.workloads.traces.checks import MOST, place, shown
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("metadata", "metrics")
FIELDS: Fields = {
    "workflow_id": ("x_correlation_id", "conversation_id", "session_num"),
    "call_id": ("turn_index", "x_request_id"),
    "parent_ids": ("request_start_ns", "request_end_ns"),
    "arrival_s": ("request_start_ns",),
    "model": ("model_name",),
    "prompt_tokens": ("input_sequence_length",),
    "output_tokens": ("output_sequence_length", "output_token_count", "reasoning_token_count"),
    "tool_gap_s": ("request_start_ns", "request_end_ns"),
}
RECORDER = Recorder(
    calls="in AIPerf's records a request has metrics and no error, outside of the warmup",
    prompt="metrics.input_sequence_length",
    output="metrics.output_sequence_length",
    span="metadata.turn_index",
    parent="metadata.conversation_id",
    start="metadata.request_start_ns",
)
_UNITS = ("tokens", "token", "")


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every conversation into a chain of its turns, whose gaps are the time until the next turn.

    Requests of the warmup, cancelled ones and failed ones are left out.

    Args:
        frame: The table, with ``ROW``; one request a row.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    spans, left = [], 0
    for record in records(frame):
        row = int(record[ROW])
        phase = at(record, "metadata.benchmark_phase")
        if phase not in (None, "profiling") or at(record, "metadata.was_cancelled") or record.get("error"):
            left += 1
            continue
        spans.append(_span(record, row, source))
    refuse_other_units([span.start_ns or 0 for span in spans], f"{source}: `metadata.request_start_ns`")
    made = workflows_of(spans, source, RECORDER, idle_is_gap=True)
    notes = (f"{left} of {len(frame)} records are warmup, cancelled or failed; they are left out",) if left else ()
    table = made.table.assign(application="aiperf", role="user", deadline_s=DEADLINE_S, ttft_limit_s=TTFT_LIMIT_S)
    return made._replace(table=table, notes=(*made.notes, *notes))


def _span(record: Mapping[str, Any], row: int, source: str) -> Span:
    metadata = at(record, "metadata")
    if not isinstance(metadata, Mapping):
        raise MaestroError(f"{place(source, row, 'metadata')}: is no object; export the records again.")
    times = []
    for column in ("request_start_ns", "request_end_ns"):
        value = metadata.get(column)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST * 10**9:
            raise MaestroError(
                f"{place(source, row, f'metadata.{column}')}: the value {shown(value)} is no time; give whole "
                "nanoseconds."
            )
        times.append(value)
    if times[1] < times[0]:
        raise MaestroError(f"{place(source, row, 'metadata.request_end_ns')}: the request ends before it starts.")
    names = ("x_correlation_id", "conversation_id", "session_num")
    conversation = next((found for name in names if (found := words(metadata.get(name)))), "")
    turn = words(metadata.get("turn_index"))
    metrics = {name: _metric(record, name, row, source) for name in ("input_sequence_length", "output_sequence_length")}
    if metrics["output_sequence_length"] is None:
        parts = [_metric(record, name, row, source) for name in ("output_token_count", "reasoning_token_count")]
        metrics["output_sequence_length"] = sum(part or 0 for part in parts) if any(parts) else None
    return Span(
        row=row,
        trace=conversation or f"request-{row}",
        span=turn if conversation and turn else words(metadata.get("x_request_id")) or str(row),
        parent="",
        name="",
        start_ns=times[0],
        end_ns=times[1],
        kind="call",
        model=words(metadata.get("model_name")),
        prompt=metrics["input_sequence_length"],
        output=metrics["output_sequence_length"],
        seen={**metadata, **{name: value for name, value in metrics.items() if value is not None}},
    )


def _metric(record: Mapping[str, Any], name: str, row: int, source: str) -> int | None:
    """Read a count of tokens; a metric in another unit is refused."""
    found = at(record, f"metrics.{name}")
    value, unit = (found.get("value"), found.get("unit", "")) if isinstance(found, Mapping) else (found, "")
    if value is None:
        return None
    if unit not in _UNITS:
        raise MaestroError(f"{place(source, row, f'metrics.{name}')}: is in {shown(unit)}, tokens were expected.")
    return whole(value, place(source, row, f"metrics.{name}"))
