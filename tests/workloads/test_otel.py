"""Spans of agents become workflows: who waits for whom, and for how long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maestro_gym.workloads import Trace, read_trace
from tests.workloads.foreign_files import FILES, call, span, tool, write_rows


def _read(rows: list[dict[str, Any]], folder: Path) -> Trace:
    return read_trace(write_rows(rows, folder / "spans.jsonl"))


def _parents(trace: Trace) -> dict[int, set[int]]:
    """Rows of the parents, by row; for one workflow."""
    bounds = trace.parent_start
    return {
        int(trace.rows[s]): {int(trace.rows[p]) for p in trace.parents[bounds[s] : bounds[s + 1]]}
        for s in range(len(trace.stages))
    }


def test_a_tool_between_two_calls_is_the_gap_of_the_first(tmp_path: Path) -> None:
    trace = _read(FILES["otel"].rows, tmp_path)
    assert trace.application_names == trace.role_names == ("helper",)
    assert trace.model_names == ("m",)
    assert trace.rows.tolist() == [2, 4]
    assert trace.hidden["tool_gap_s"].tolist() == [1.5, 0.0]
    assert trace.hidden["tool_intent"].tolist() == [1, 0]
    assert [trace.tool_names[i] for i in trace.tools] == ["search", ""]
    assert trace.stages["prompt_tokens"].tolist() == [100, 180]
    assert trace.stages["ctx_prefix_tokens"].tolist() == [0, 110]
    assert _parents(trace) == {2: set(), 4: {2}}


def test_the_longest_of_tools_side_by_side_counts(tmp_path: Path) -> None:
    rows = [call("a", "", 0, 1), tool("x", "", 1, 2), tool("y", "", 1, 4.25), call("b", "", 4.5, 5)]
    assert _read(rows, tmp_path).hidden["tool_gap_s"].tolist() == [3.25, 0.0]


def test_agents_side_by_side_make_branches_that_join(tmp_path: Path) -> None:
    rows = [
        span("root", "", 0, 10, operation="invoke_agent", agent="lead"),
        call("plan", "root", 0, 1),
        span("left", "root", 1, 5, operation="invoke_agent", agent="left"),
        call("l1", "left", 1, 2),
        call("l2", "left", 3, 5),
        span("right", "root", 1, 6, operation="invoke_agent", agent="right"),
        call("r1", "right", 1.5, 2.5),
        call("r2", "right", 4, 6),
        call("sum", "root", 7, 10),
    ]
    trace = _read(rows, tmp_path)
    # l2 begins after r1 ended, but in another branch: it does not wait for it.
    assert _parents(trace) == {2: set(), 4: {2}, 5: {4}, 7: {2}, 8: {7}, 9: {5, 8}}
    assert [trace.role_names[i] for i in trace.stages["role"][np.argsort(trace.rows)]] == [
        "lead",
        "left",
        "left",
        "right",
        "right",
        "lead",
    ]


def test_an_agent_that_is_a_tool_is_calls_and_no_gap(tmp_path: Path) -> None:
    rows = [
        call("a", "", 0, 1),
        tool("ask_expert", "", 1, 6),
        call("inner", "ask_expert", 2, 5),
        call("b", "", 7, 8),
    ]
    trace = _read(rows, tmp_path)
    assert _parents(trace) == {1: set(), 3: {1}, 4: {3}}
    assert trace.hidden["tool_gap_s"].tolist() == [0.0, 0.0, 0.0]


def test_every_trace_is_a_workflow_in_order_of_arrival(tmp_path: Path) -> None:
    rows = [call("b", "", 5, 6, trace="late"), call("a", "", 2, 3, trace="early"), call("c", "", 7, 8, trace="late")]
    trace = _read(rows, tmp_path)
    assert trace.workflows["arrival_s"].tolist() == [0.0, 3.0]
    assert trace.workflows["num_stages"].tolist() == [1, 2]


def test_what_the_spans_say_of_limits_and_caches_is_taken(tmp_path: Path) -> None:
    cached = call("b", "", 2, 3, input_tokens=400, max_tokens=64)
    cached["attributes"]["gen_ai.usage.cache_read.input_tokens"] = 256
    trace = _read([call("a", "", 0, 1), cached], tmp_path)
    assert trace.stages["max_output_tokens"].tolist() == [512, 64]
    assert trace.stages["ctx_prefix_tokens"].tolist() == [0, 256]


def test_failed_calls_without_tokens_and_spans_of_other_kinds_are_left_out(tmp_path: Path) -> None:
    failed = call("a", "", 0, 1)
    del failed["attributes"]["gen_ai.usage.output_tokens"]
    failed["status"] = {"code": 2}
    rows = [failed, span("http", "", 0, 3), call("b", "", 1, 2)]
    assert _read(rows, tmp_path).rows.tolist() == [3]


def test_names_before_version_1_27_are_known(tmp_path: Path) -> None:
    old = span("a", "", 0, 1, operation="chat")
    old["attributes"] |= {"gen_ai.usage.prompt_tokens": 70, "gen_ai.usage.completion_tokens": 9}
    trace = _read([old], tmp_path)
    assert (trace.stages["prompt_tokens"][0], trace.hidden["output_tokens"][0]) == (70, 9)


@pytest.mark.parametrize("nested", [False, True])
def test_the_lists_of_otlp_and_the_lines_of_the_collector_are_read_alike(nested: bool, tmp_path: Path) -> None:
    def value(item: object) -> dict[str, object]:
        return {"intValue": str(item)} if isinstance(item, int) else {"stringValue": item}

    rows = [
        row | {"attributes": [{"key": key, "value": value(item)} for key, item in row["attributes"].items()]}
        for row in FILES["otel"].rows
    ]
    plain = _read(FILES["otel"].rows, tmp_path)
    path = tmp_path / "otlp.jsonl"
    lines = [{"resourceSpans": [{"scopeSpans": [{"spans": rows}]}]}] if nested else rows
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    trace = read_trace(path)
    assert np.array_equal(trace.stages, plain.stages)
    assert np.array_equal(trace.hidden, plain.hidden)
