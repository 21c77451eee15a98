"""OpenTelemetry spans of agents, as JSON: one span a line, the collector's file exporter, or an SDK's own form.

Source: OTLP/JSON (opentelemetry-proto and proto3's JSON mapping: empty lists and zeros may be left out, names may be
in camel case or with underscores); ``ReadableSpan.to_json`` of OpenTelemetry's Python SDK; ``get_spans_dataframe`` of
Arize Phoenix. What attributes mean is said in ``dialects.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers import dialects
from maestro_gym.workloads.importers.moments import nanoseconds, refuse_other_units
from maestro_gym.workloads.importers.records import counts_tokens
from maestro_gym.workloads.importers.spans import Recorder, Span, workflows_of
from maestro_gym.workloads.traces.checks import place, shown
from maestro_gym.workloads.traces.format import ROW, Converted, Fields

COLUMNS = ("traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano", "attributes")
OTLP_COLUMNS = ("resourceSpans",)
SDK_COLUMNS = ("context", "parent_id", "start_time", "end_time", "attributes")
PHOENIX_COLUMNS = ("context.trace_id", "context.span_id", "parent_id", "start_time", "end_time")
FIELDS: Fields = {
    "workflow_id": ("traceId", "trace_id"),
    "call_id": ("spanId", "span_id"),
    "parent_ids": ("parentSpanId", "parent_id", "startTimeUnixNano", "endTimeUnixNano", "start_time", "end_time"),
    "arrival_s": ("startTimeUnixNano", "start_time"),
    "role": dialects.AGENT,
    "model": dialects.MODEL,
    "prompt_tokens": dialects.INPUT,
    "output_tokens": dialects.OUTPUT,
    "max_output_tokens": (*dialects.LIMIT, "llm.invocation_parameters"),
    "tool_gap_s": ("endTimeUnixNano", "end_time"),
    "ctx_prefix_tokens": dialects.CACHE_READ,
}
RECORDER = Recorder(
    calls=dialects.CALLS,
    prompt="gen_ai.usage.input_tokens (OpenInference: llm.token_count.prompt)",
    output="gen_ai.usage.output_tokens (OpenInference: llm.token_count.completion)",
    span="spanId",
    parent="parentSpanId",
    start="startTimeUnixNano",
)

_SPELLINGS = {
    "resource_spans": "resourceSpans",
    "scope_spans": "scopeSpans",
    "instrumentation_library_spans": "scopeSpans",
    "instrumentationLibrarySpans": "scopeSpans",
    "trace_id": "traceId",
    "span_id": "spanId",
    "parent_span_id": "parentSpanId",
    "start_time_unix_nano": "startTimeUnixNano",
    "end_time_unix_nano": "endTimeUnixNano",
}
_FAILED = ("2", "STATUS_CODE_ERROR", "ERROR")
# Below it times count from some origin of the recorder's own, for which 0 is a time like another.
_SINCE_1970_NS = 10**17


def in_camel_case(frame: pd.DataFrame) -> pd.DataFrame:
    """Spell the columns of OTLP as its JSON mapping prefers; other tables stay as they are.

    Args:
        frame: Any table.

    Returns:
        The table.
    """
    ours = {"resource_spans", "start_time_unix_nano"} & set(frame.columns)
    return frame.rename(columns=_SPELLINGS) if ours else frame


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn spans, one a row, into workflows; see ``spans.workflows_of``.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    return _converted(list(_records(frame)), source)


def convert_otlp(frame: pd.DataFrame, source: str) -> Converted:
    """Take the spans out of the lines of the collector's file exporter, then as ``convert``.

    Args:
        frame: The table, with ``ROW``; its column ``resourceSpans`` holds what OTLP/JSON says. Rows without it, such as
            metrics and logs, hold no spans.
        source: The file.

    Returns:
        Calls in the workflow-trace format.

    Raises:
        MaestroError: As ``convert``, or a line holds something else.
    """
    spans = []
    for line, row in zip(frame["resourceSpans"], frame[ROW], strict=True):
        try:
            spans += [
                _spelled(span) | {ROW: int(row)}
                for resource in _listed(line)
                for scope in _listed(_spelled(resource).get("scopeSpans"))
                for span in _listed(_spelled(scope).get("spans"))
            ]
        except (TypeError, ValueError):
            raise MaestroError(
                f"{place(source, int(row), 'resourceSpans')}: is not resourceSpans > scopeSpans > spans as OTLP/JSON "
                "has them; export the traces again, or write one span a line."
            ) from None
    if not spans:
        raise MaestroError(f"{source}: its lines hold no span; a trace needs at least one.")
    return _converted(spans, source)


def convert_sdk(frame: pd.DataFrame, source: str) -> Converted:
    """Turn spans as an SDK prints them into workflows.

    Args:
        frame: The table, with ``ROW``; ids stand in ``context``, times are dates.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    spans = []
    for record in _records(frame):
        context = record.get("context")
        context = context if isinstance(context, Mapping) else {}
        spans.append(_dated(record, context.get("trace_id"), context.get("span_id"), source))
    return _converted(spans, source)


def convert_phoenix(frame: pd.DataFrame, source: str) -> Converted:
    """Turn spans as Phoenix exports them, a column for every attribute, into workflows.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        Calls in the workflow-trace format.
    """
    spans = []
    for record in _records(frame):
        attributes = {
            name.removeprefix("attributes."): value
            for name, value in record.items()
            if name.startswith("attributes.") and value != ""
        }
        if record.get("span_kind"):
            attributes.setdefault("openinference.span.kind", record["span_kind"])
        whole = record | {"attributes": attributes, "status": {"code": record.get("status_code")}}
        spans.append(_dated(whole, record["context.trace_id"], record["context.span_id"], source))
    return _converted(spans, source)


def _records(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows as mappings, without the cells that hold nothing."""
    for record in frame.to_dict("records"):
        yield {
            str(name): value
            for name, value in record.items()
            if value is not None and not (isinstance(value, float) and value != value)
        }


def _dated(record: Mapping[str, Any], trace: object, span: object, source: str) -> dict[str, Any]:
    """Spell a span whose times are dates as OTLP does."""
    row = int(record[ROW])
    times = {
        name: nanoseconds(record[column], place(source, row, column))
        for name, column in (("startTimeUnixNano", "start_time"), ("endTimeUnixNano", "end_time"))
        if record.get(column) not in (None, "")
    }
    status = record.get("status")
    code = status.get("status_code", status.get("code")) if isinstance(status, Mapping) else status
    ids = {"traceId": trace, "spanId": span, "parentSpanId": record.get("parent_id")}
    return {**record, **times, **ids, "status": {"code": code}}


def _spelled(record: object) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        raise TypeError
    return {_SPELLINGS.get(str(name), str(name)): value for name, value in record.items()}


def _listed(value: object) -> list[Any]:
    """A repeated field: absent means empty."""
    if value is None or (isinstance(value, float) and value != value):
        return []
    if not isinstance(value, list):
        raise TypeError
    return value


def _converted(records: list[dict[str, Any]], source: str) -> Converted:
    spoken: Counter[str] = Counter()
    spans = [_span(record, source, spoken) for record in records]
    refuse_other_units([span.start_ns for span in spans if span.start_ns], f"{source}: column `startTimeUnixNano`")
    if any((span.end_ns or 0) >= _SINCE_1970_NS for span in spans):
        for span in spans:
            span.start_ns, span.end_ns = span.start_ns or None, span.end_ns or None
    dialect = spoken.most_common(1)[0][0] if spoken else ""
    return workflows_of(spans, source, RECORDER)._replace(dialect=dialect)


def _span(record: Mapping[str, Any], source: str, spoken: Counter[str]) -> Span:
    row = int(record[ROW])
    start_ns, end_ns = (_time_ns(record, column, source) for column in ("startTimeUnixNano", "endTimeUnixNano"))
    if 0 < end_ns < start_ns:
        raise MaestroError(
            f"{place(source, row, 'endTimeUnixNano')}: the span ends before it starts; mend the exporter's clock."
        )
    names = []
    for column in ("traceId", "spanId"):
        value = record.get(column)
        if not isinstance(value, str) or not value.strip():
            raise MaestroError(f"{place(source, row, column)}: the value {shown(value)} is no id; give its text.")
        names.append(value.strip())
    parent = record.get("parentSpanId") or ""
    if not isinstance(parent, str):
        raise MaestroError(f"{place(source, row, 'parentSpanId')}: the value {shown(parent)} is no id; give its text.")
    status = record.get("status")
    attributes = dialects.flat(_attributes(record.get("attributes"), row, source))
    kind, dialect = dialects.kind_of(attributes)
    name = str(record.get("name") or "")
    span = Span(
        row=row,
        trace=names[0],
        span=names[1],
        parent=parent.strip(),
        name=name,
        start_ns=start_ns,
        end_ns=max(start_ns, end_ns),
        failed=isinstance(status, Mapping) and str(status.get("code")) in _FAILED,
        agent=str(dialects.first(attributes, dialects.AGENT)[1] or ""),
    )
    if kind == "agent":
        span.agent = span.agent or str(attributes.get("traceloop.entity.name") or name)
    elif kind == "tool":
        span.kind, span.tool = "tool", str(dialects.first(attributes, dialects.TOOL)[1] or name)
    elif kind == "call":
        spoken[dialect] += 1
        _count_tokens(span, attributes, source)
        span.seen = {**{key: value for key, value in record.items() if key != "attributes"}, **attributes}
    return span


def _count_tokens(span: Span, attributes: Mapping[str, Any], source: str) -> None:
    """Read what a call says of its tokens, and hold it against their total."""
    span.kind = "call"
    span.model = str(dialects.first(attributes, dialects.MODEL)[1] or "")
    span.limit = _count(span, *dialects.limit_of(attributes), source)
    span.prompt, span.output, total, read, written = (
        _count(span, *dialects.first(attributes, names), source)
        for names in (dialects.INPUT, dialects.OUTPUT, dialects.TOTAL, dialects.CACHE_READ, dialects.CACHE_WRITE)
    )
    span.shared, span.apart = read, (read or 0) + (written or 0)
    if total is None:
        return
    if span.prompt is None and span.output is not None and total >= span.output:
        span.prompt = total - span.output
    elif span.output is None and span.prompt is not None and total >= span.prompt:
        span.output = total - span.prompt
    elif span.prompt is not None and span.output is not None and total < span.prompt + span.output:
        name = dialects.first(attributes, dialects.TOTAL)[0]
        raise MaestroError(
            f"{place(source, span.row, 'attributes')}: {name} is {total}, less than the {span.prompt} tokens of the "
            f"prompt and the {span.output} of the output; mend one of the three."
        )


def _time_ns(record: Mapping[str, Any], column: str, source: str) -> int:
    """Read whole nanoseconds; proto3 leaves a zero out, and may write large numbers as text or with an exponent."""
    value = record.get(column, 0)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | str)
        or not str(value).isdecimal()
        or len(str(value)) > 19
    ):
        raise MaestroError(
            f"{place(source, int(record[ROW]), column)}: the value {shown(value)} is no time; give whole nanoseconds "
            "since 1970."
        )
    return int(value)


def _attributes(given: object, row: int, source: str) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    try:
        if isinstance(given, list):
            return {
                item["key"]: next(iter(item["value"].values()))
                for item in given
                if isinstance(item.get("value"), dict) and item["value"]
            }
        if given is None:
            return {}
    except (TypeError, KeyError, AttributeError):
        pass
    raise MaestroError(
        f"{place(source, row, 'attributes')}: {str(given)[:40]!r} is no mapping and no list of keys as OTLP has it."
    )


def _count(span: Span, name: str, value: object, source: str) -> int | None:
    if value is None:
        return None
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    text = text.removesuffix(".0")
    if isinstance(value, bool) or not counts_tokens(text):
        raise MaestroError(
            f"{place(source, span.row, 'attributes')}: {name} is {shown(value)}; give a whole number of tokens."
        )
    return int(text)
