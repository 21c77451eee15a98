"""LangSmith exports: runs, as its SDK lists them, its bulk export and its interface write them.

Source: docs.langchain.com/langsmith/run-data-format (id, run_type, start_time, end_time, trace_id, parent_run_id,
dotted_order, prompt_tokens, completion_tokens, total_tokens, prompt_token_details).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers.moments import nanoseconds
from maestro_gym.workloads.importers.records import at, count, records, words
from maestro_gym.workloads.importers.spans import Recorder, Span, workflows_of
from maestro_gym.workloads.traces.checks import place
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("id", "run_type", "start_time")
FIELDS: Fields = {
    "workflow_id": ("trace_id",),
    "call_id": ("id",),
    "parent_ids": ("parent_run_id", "parent_run_ids", "dotted_order", "start_time", "end_time"),
    "arrival_s": ("start_time",),
    "role": ("extra",),
    "model": ("extra",),
    "prompt_tokens": ("prompt_tokens", "outputs"),
    "output_tokens": ("completion_tokens", "outputs"),
    "max_output_tokens": ("extra",),
    "tool_gap_s": ("end_time",),
    "ctx_prefix_tokens": ("prompt_token_details",),
}
RECORDER = Recorder(
    calls="in LangSmith a call is a run of run_type llm",
    prompt="prompt_tokens",
    output="completion_tokens",
    span="id",
    parent="parent_run_id",
    start="start_time",
)

_PROMPT = ("prompt_tokens", "outputs.usage_metadata.input_tokens", "outputs.llm_output.token_usage.prompt_tokens")
_OUTPUT = (
    "completion_tokens",
    "outputs.usage_metadata.output_tokens",
    "outputs.llm_output.token_usage.completion_tokens",
)
_READ = ("prompt_token_details.cache_read", "outputs.usage_metadata.input_token_details.cache_read")
_WRITTEN = ("prompt_token_details.cache_creation", "outputs.usage_metadata.input_token_details.cache_creation")
_LIMIT = ("extra.metadata.ls_max_tokens", "extra.invocation_params.max_tokens")
_MODEL = ("extra.metadata.ls_model_name", "extra.invocation_params.model", "extra.invocation_params.model_name")


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn traces into workflows, runs of models into calls, tools and retrievers into gaps.

    The node of a LangGraph names the role.

    Args:
        frame: The table, with ``ROW``; one run a row, or one tree of runs.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    spans = [
        _span(run, root, source) for record in records(frame) for run, root in _runs(record, words(record.get("id")))
    ]
    return workflows_of(spans, source, RECORDER)


def _runs(record: dict[str, Any], root: str) -> Iterator[tuple[dict[str, Any], str]]:
    """A run and, if the export nests them, the runs in it, with the id of the outermost."""
    yield record, root
    inside = record.get("child_runs")
    for child in inside if isinstance(inside, list) else ():
        if isinstance(child, Mapping):
            yield from _runs({"parent_run_id": record.get("id"), **child, ROW: record[ROW]}, root)


def _span(record: Mapping[str, Any], root: str, source: str) -> Span:
    row = int(record[ROW])
    run = words(record.get("id"))
    if not run:
        raise MaestroError(f"{place(source, row, 'id')}: is blank; every run has an id.")
    above = words(record.get("parent_run_id")) or _parent(record)
    kind = words(record.get("run_type")).lower()
    start_ns = nanoseconds(record.get("start_time"), place(source, row, "start_time"))
    ended = record.get("end_time")
    end_ns = nanoseconds(ended, place(source, row, "end_time")) if ended is not None else None
    if end_ns is not None and end_ns < start_ns:
        raise MaestroError(f"{place(source, row, 'end_time')}: the run ends before it starts; mend its times.")
    name = words(record.get("name"))
    span = Span(
        row=row,
        trace=words(record.get("trace_id")) or root,
        span=run,
        parent=above,
        name=name,
        start_ns=start_ns,
        end_ns=end_ns,
        failed=bool(record.get("error")) or ended is None,
    )
    if kind in ("tool", "retriever"):
        span.kind, span.tool = "tool", name
    elif kind == "llm":
        span.kind, span.seen = "call", record
        span.agent = words(at(record, "extra.metadata.langgraph_node"))
        span.model = next((found for place_ in _MODEL if (found := words(at(record, place_)))), "")
        span.limit = count(record, _LIMIT, row, source)
        span.prompt, span.output, read, written = (
            count(record, places, row, source) for places in (_PROMPT, _OUTPUT, _READ, _WRITTEN)
        )
        # LangSmith writes a cache_read of 0 for providers that do not tell.
        span.shared, span.apart = read or None, (read or 0) + (written or 0)
        total = count(record, ("total_tokens",), row, source)
        if (
            total is not None
            and None not in (span.prompt, span.output)
            and total < (span.prompt or 0) + (span.output or 0)
        ):
            raise MaestroError(
                f"{place(source, row, 'total_tokens')}: the value {total} is less than the {span.prompt} prompt_tokens "
                f"and the {span.output} completion_tokens; mend one of the three."
            )
    return span


def _parent(record: Mapping[str, Any]) -> str:
    """The run above, from the list of all above or from the last two parts of the dotted order."""
    listed = record.get("parent_run_ids")
    if isinstance(listed, list) and listed:
        return words(listed[-1])
    parts = words(record.get("dotted_order")).split(".")
    return parts[-2].rpartition("Z")[2] if len(parts) > 1 else ""
