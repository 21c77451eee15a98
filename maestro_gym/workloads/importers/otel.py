"""OpenTelemetry spans of agents, as JSON lines: one span a line, or the collector's file exporter.

Conventions: OpenTelemetry semantic conventions for generative AI (gen_ai.*, v1.41; status: development) and
OTLP/JSON (traceId, spanId, parentSpanId, startTimeUnixNano, endTimeUnixNano). Attributes may be a plain mapping or
OTLP's list of key and value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.traces.checks import MOST, place
from maestro_gym.workloads.traces.format import ROW

COLUMNS = ("traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano", "attributes")
OTLP_COLUMNS = ("resourceSpans",)

# Not in the spans: somebody who waits for an agent.
DEADLINE_S, TTFT_LIMIT_S = 300.0, 10.0

_CALLS = {"chat", "text_completion", "generate_content"}
# The names before and after version 1.27 of the conventions.
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_FAILED = (2, "2", "STATUS_CODE_ERROR", "ERROR")


@dataclass(eq=False)
class _Span:
    row: int
    trace: str
    span: str
    parent: str
    name: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    failed: bool
    above: list[_Span] = field(default_factory=list)  # ancestors, the root first, the span itself last
    # With all spans below it, which may outlast it.
    branch_start_ns: int = 0
    branch_end_ns: int = 0

    @property
    def operation(self) -> str:
        return str(self.attributes.get("gen_ai.operation.name", ""))

    @property
    def agent(self) -> str:
        names = [span.attributes.get("gen_ai.agent.name") for span in reversed(self.above)]
        return next((str(name) for name in names if name), "agent")


def convert_otlp(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Take the spans out of the lines of the collector's file exporter, then ``convert`` them.

    Args:
        frame: The table, with ``ROW``; its column ``resourceSpans`` holds what OTLP/JSON says.
        source: The file.

    Returns:
        A table of the workflow-trace format.

    Raises:
        MaestroError: As ``convert``.
    """
    spans = []
    for line, row in zip(frame["resourceSpans"], frame[ROW], strict=True):
        try:
            spans += [
                dict(span) | {ROW: row}
                for resource in line
                for scope in resource["scopeSpans"]
                for span in scope["spans"]
            ]
        except (TypeError, KeyError, ValueError):
            raise MaestroError(
                f"{place(source, int(row), 'resourceSpans')}: is not resourceSpans > scopeSpans > spans as OTLP/JSON "
                "has them; export the traces again, or write one span a line."
            ) from None
    if not spans:
        raise MaestroError(f"{source}: its lines hold no span; a trace needs at least one.")
    return convert(pd.DataFrame(spans), source)


def convert(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Turn every trace into a workflow, its model calls into calls, its tool spans into gaps.

    One call comes before another if, below the span that both lie in, the branch of the first ended before
    the branch of the second began; its parents are the latest of those. Branches that overlap run side
    by side. The gap after a call ends with the last ``execute_tool`` span that comes before its children and
    holds no call itself. An agent's prompt that did not shrink is taken to extend what its last call held; where
    the spans give ``gen_ai.usage.cache_read.input_tokens``, that is what is shared. Failed calls
    without token counts are left out.

    Args:
        frame: The table, with ``ROW``.
        source: The file.

    Returns:
        A table of the workflow-trace format.

    Raises:
        MaestroError: A span lacks what is needed, or there is no model call.
    """
    spans = [_span(record, source) for record in frame.to_dict("records")]
    traces: dict[str, list[_Span]] = {}
    for span in spans:
        traces.setdefault(span.trace, []).append(span)
    rows: list[dict[str, Any]] = []
    for members in traces.values():
        _link(members, source)
        rows += _workflow(members, source)
    if not rows:
        raise MaestroError(
            f"{source}: no span is a model call; those have `gen_ai.operation.name` {' or '.join(sorted(_CALLS))}."
        )
    table = pd.DataFrame(rows)
    origin_ns = min(int(value) for value in table["_arrival_ns"])
    table["arrival_s"] = [(int(value) - origin_ns) / 1e9 for value in table["_arrival_ns"]]
    limit = client_limit(table["output_tokens"].to_numpy(np.float64))
    table["max_output_tokens"] = table["max_output_tokens"].fillna(limit)
    return (
        table.drop(columns="_arrival_ns")
        .sort_values(["arrival_s", "workflow_id"], kind="stable")
        .reset_index(drop=True)
    )


def _span(record: Mapping[str, Any], source: str) -> _Span:
    row = int(record[ROW])
    times = []
    for column in ("startTimeUnixNano", "endTimeUnixNano"):
        value = record.get(column)
        if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdecimal():
            raise MaestroError(
                f"{place(source, row, column)}: the value {value!r} is no time; give whole nanoseconds since 1970."
            )
        times.append(int(value))
    if times[1] < times[0]:
        raise MaestroError(
            f"{place(source, row, 'endTimeUnixNano')}: the span ends before it starts; mend the exporter's clock."
        )
    names = []
    for column in ("traceId", "spanId"):
        value = record.get(column)
        if not isinstance(value, str) or not value.strip():
            raise MaestroError(f"{place(source, row, column)}: the value {value!r} is no id; give its text.")
        names.append(value)
    parent = record.get("parentSpanId")
    if parent is None or (isinstance(parent, float) and np.isnan(parent)):
        parent = ""
    if not isinstance(parent, str):
        raise MaestroError(f"{place(source, row, 'parentSpanId')}: the value {parent!r} is no id; give its text.")
    status = record.get("status")
    return _Span(
        row=row,
        trace=names[0],
        span=names[1],
        parent=parent.strip(),
        name=str(record.get("name") or ""),
        start_ns=times[0],
        end_ns=times[1],
        attributes=_attributes(record.get("attributes"), row, source),
        failed=isinstance(status, Mapping) and status.get("code") in _FAILED,
    )


def _attributes(given: object, row: int, source: str) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    try:
        if isinstance(given, list):
            return {item["key"]: next(iter(item["value"].values())) for item in given if item["value"]}
        if given is None or (isinstance(given, float) and np.isnan(given)):
            return {}
    except (TypeError, KeyError, AttributeError):
        pass
    raise MaestroError(
        f"{place(source, row, 'attributes')}: {str(given)[:40]!r} is no mapping and no list of keys as OTLP has it."
    )


def _link(members: list[_Span], source: str) -> None:
    """Give every span its ancestors."""
    by_id: dict[str, _Span] = {}
    for span in members:
        if span.span in by_id:
            raise MaestroError(
                f"{place(source, span.row, 'spanId')}: {span.span!r} stands twice in its trace; take one out."
            )
        by_id[span.span] = span
    for span in members:
        chain, at, seen = [span], span, {span.span}
        # A parent that was not exported makes its child a root.
        while at.parent and at.parent in by_id:
            at = by_id[at.parent]
            if at.span in seen:
                raise MaestroError(f"{place(source, span.row, 'parentSpanId')}: the spans are parents in a circle.")
            seen.add(at.span)
            chain.append(at)
        span.above = chain[::-1]
        span.branch_start_ns, span.branch_end_ns = span.start_ns, span.end_ns
    for span in members:
        for above in span.above:
            above.branch_start_ns = min(above.branch_start_ns, span.start_ns)
            above.branch_end_ns = max(above.branch_end_ns, span.end_ns)


def _before(one: _Span, other: _Span) -> bool:
    """Whether a span's branch ended before another's began, below the span that both lie in."""
    for a, b in zip(one.above, other.above, strict=False):
        if a is not b:
            return a.branch_end_ns <= b.branch_start_ns
    return False


def _workflow(members: list[_Span], source: str) -> list[dict[str, Any]]:
    calls = [span for span in members if span.operation in _CALLS]
    calls = [span for span in calls if not (span.failed and _count(span, _OUTPUT, source) is None)]
    calls.sort(key=lambda span: (span.start_ns, span.end_ns, span.row))
    if not calls:
        return []
    bearing = {id(above) for call in calls for above in call.above}
    tools = [span for span in members if span.operation == "execute_tool" and id(span) not in bearing]
    earlier = [[j for j in range(i) if _before(calls[j], call)] for i, call in enumerate(calls)]
    root = min(members, key=lambda span: (len(span.above), span.start_ns))
    start_ns = min(span.start_ns for span in members)
    used: dict[int, list[_Span]] = {}
    for tool in sorted(tools, key=lambda span: span.start_ns):
        before = [j for j, call in enumerate(calls) if _before(call, tool)]
        for j in _latest(before, earlier):
            used.setdefault(j, []).append(tool)
    contexts: dict[str, tuple[float, float]] = {}
    rows = []
    for i, call in enumerate(calls):
        prompt, output = (_required(call, names, source) for names in (_INPUT, _OUTPUT))
        prompt, output = max(prompt, 1), max(output, 1)
        asked, held = contexts.get(call.agent, (0.0, 0.0))
        cached = _count(call, ("gen_ai.usage.cache_read.input_tokens",), source)
        shared = cached if cached is not None else held if asked <= prompt else 0.0
        contexts[call.agent] = (prompt, prompt + output)
        mine = used.get(i, [])
        rows.append(
            {
                ROW: call.row,
                "workflow_id": call.trace,
                "call_id": call.span,
                "parent_ids": "|".join(calls[j].span for j in _latest(earlier[i], earlier)),
                "_arrival_ns": start_ns,
                "application": root.agent if root.agent != "agent" else root.name or "agent",
                "role": call.agent,
                "model": str(call.attributes.get("gen_ai.request.model", "")),
                "prompt_tokens": prompt,
                "output_tokens": output,
                "max_output_tokens": _count(call, ("gen_ai.request.max_tokens",), source),
                "tool_gap_s": max((tool.end_ns - call.end_ns for tool in mine), default=0) / 1e9,
                "tool_intent": int(bool(mine)),
                "tool": str(mine[0].attributes.get("gen_ai.tool.name", "")) if mine else "",
                "tools_available": int(bool(tools)),
                "class": "interactive",
                "deadline_s": DEADLINE_S,
                "ttft_limit_s": TTFT_LIMIT_S,
                "ctx_group": f"{call.trace}/{call.agent}",
                "ctx_prefix_tokens": min(shared, prompt),
            }
        )
    return rows


def _latest(found: list[int], earlier: list[list[int]]) -> list[int]:
    """Leave those calls that come before no other call found."""
    covered = {k for j in found for k in earlier[j]}
    return [j for j in found if j not in covered]


def _count(span: _Span, names: tuple[str, ...], source: str) -> int | None:
    for name in names:
        value = span.attributes.get(name)
        if value is None:
            continue
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        if isinstance(value, bool) or not text.isdecimal() or int(text) > MOST:
            raise MaestroError(
                f"{place(source, span.row, 'attributes')}: {name} is {value!r}; give a whole number of tokens."
            )
        return int(text)
    return None


def _required(span: _Span, names: tuple[str, ...], source: str) -> int:
    value = _count(span, names, source)
    if value is None:
        raise MaestroError(
            f"{place(source, span.row, 'attributes')}: the call has no {names[0]}; let the agent record token "
            "usage, or take the span out."
        )
    return value
