"""Langfuse exports: observations, as the public API, the interface and the blob-storage export write them.

Source: Langfuse's OpenAPI description (ObservationsView, ObservationV2) and langfuse.com/docs (model usage: the keys of
``usageDetails`` count apart from each other, cached input beside ``input``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers.moments import nanoseconds
from maestro_gym.workloads.importers.records import at, count, records, whole, words
from maestro_gym.workloads.importers.spans import Recorder, Span, workflows_of
from maestro_gym.workloads.traces.checks import place
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("id", "traceId", "type", "startTime")
SNAKE_COLUMNS = ("id", "trace_id", "type", "start_time")
TRACE_COLUMNS = ("id", "observations")
FIELDS: Fields = {
    "workflow_id": ("traceId",),
    "call_id": ("id",),
    "parent_ids": ("parentObservationId", "startTime", "endTime"),
    "arrival_s": ("startTime",),
    "model": ("model", "providedModelName", "internalModelId"),
    "prompt_tokens": ("usageDetails", "usage", "promptTokens"),
    "output_tokens": ("usageDetails", "usage", "completionTokens"),
    "max_output_tokens": ("modelParameters",),
    "tool_gap_s": ("endTime",),
    "ctx_prefix_tokens": ("usageDetails",),
}
RECORDER = Recorder(
    calls="in Langfuse a call is an observation of type GENERATION",
    prompt="usageDetails.input",
    output="usageDetails.output",
    span="id",
    parent="parentObservationId",
    start="startTime",
)

_TOOLS = ("tool", "retriever")
_PROMPT = ("usage.input", "usage.promptTokens", "promptTokens", "inputUsage")
_OUTPUT = ("usage.output", "usage.completionTokens", "completionTokens", "outputUsage")
_LIMIT = ("modelParameters.max_tokens", "modelParameters.max_completion_tokens", "modelParameters.maxTokens")
_SPELLINGS = {
    "trace_id": "traceId",
    "start_time": "startTime",
    "end_time": "endTime",
    "parent_observation_id": "parentObservationId",
    "usage_details": "usageDetails",
    "model_parameters": "modelParameters",
    "provided_model_name": "model",
    "providedModelName": "model",
}


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn traces into workflows, generations into calls, tools and retrievers into gaps.

    Args:
        frame: The table, with ``ROW``; one observation a row.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    return workflows_of([_span(record, source) for record in records(frame)], source, RECORDER)


def convert_traces(frame: pd.DataFrame, source: str) -> Converted:
    """Take the observations out of traces, then as ``convert``.

    Args:
        frame: The table, with ``ROW``; one trace a row.
        source: The file.

    Returns:
        Calls in the workflow-trace format.

    Raises:
        MaestroError: As ``convert``, or a trace has no list of observations.
    """
    spans = []
    for trace in records(frame):
        row = int(trace[ROW])
        inside = trace.get("observations", [])
        if not isinstance(inside, list) or not all(isinstance(item, Mapping) for item in inside):
            raise MaestroError(
                f"{place(source, row, 'observations')}: is no list of observations; fetch the traces with their "
                "observations, or export observations."
            )
        spans += [_span({"traceId": trace["id"], **item, ROW: row}, source) for item in inside]
    return workflows_of(spans, source, RECORDER)


def _span(given: Mapping[str, Any], source: str) -> Span:
    record = {_SPELLINGS.get(name, name): value for name, value in given.items()}
    row = int(record[ROW])
    ids = [words(record.get(column)) for column in ("traceId", "id")]
    for column, name in zip(("traceId", "id"), ids, strict=True):
        if not name:
            raise MaestroError(f"{place(source, row, column)}: is blank; every observation has an id and a trace.")
    kind = words(record.get("type")).lower()
    name = words(record.get("name"))
    start_ns = nanoseconds(record.get("startTime"), place(source, row, "startTime"))
    ended = record.get("endTime")
    end_ns = nanoseconds(ended, place(source, row, "endTime")) if ended is not None else None
    if end_ns is not None and end_ns < start_ns:
        raise MaestroError(f"{place(source, row, 'endTime')}: the observation ends before it starts; mend its times.")
    span = Span(
        row=row,
        trace=ids[0],
        span=ids[1],
        parent=words(record.get("parentObservationId")),
        name=name,
        start_ns=start_ns,
        end_ns=end_ns,
        failed=words(record.get("level")).upper() == "ERROR" or ended is None,
        agent=name or "agent" if kind == "agent" else "",
    )
    if kind in _TOOLS:
        span.kind, span.tool = "tool", name
    elif kind == "generation":
        span.kind, span.model, span.seen = "call", words(record.get("model")), record
        span.limit = count(record, _LIMIT, row, source)
        _count_tokens(span, record, source)
    return span


def _count_tokens(span: Span, record: Mapping[str, Any], source: str) -> None:
    """Add up the kinds of input and of output; where their total says that input includes the cached ones, do not."""
    details = at(record, "usageDetails")
    if not isinstance(details, Mapping) or not details:
        span.prompt, span.output = (count(record, places, span.row, source) for places in (_PROMPT, _OUTPUT))
        return
    kinds = {
        str(key): whole(value, place(source, span.row, f"usageDetails.{key}"))
        for key, value in details.items()
        if value is not None
    }
    cached = {key: value for key, value in kinds.items() if "cache" in key}
    read = sum(value for key, value in cached.items() if "creation" not in key and "write" not in key)
    inputs = sum(value for key, value in kinds.items() if key.startswith(("input", "prompt")) or key in cached)
    outputs = sum(value for key, value in kinds.items() if key.startswith(("output", "completion")))
    plain = kinds.get("input", kinds.get("prompt_tokens"))
    if plain is None and not cached:
        span.prompt, span.output = None, outputs or None
        return
    within = plain is not None and sum(cached.values()) <= plain and kinds.get("total") == plain + outputs
    span.prompt = plain if within else inputs
    span.output = outputs if any(key.startswith(("output", "completion")) for key in kinds) else None
    span.shared = read if cached else None
