"""Spans as many tools write them: one call however often it was seen, and the same workflow from every export."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import Trace, read_trace
from maestro_gym.workloads.traces.files import Imported, import_trace
from tests.workloads.foreign_files import FILES, call, observation, run, span, tool, write_rows

START_NS = 1_700_000_000_000_000_000


def _read(rows: list[dict[str, Any]], folder: Path) -> Imported:
    return import_trace(write_rows(rows, folder / "spans.jsonl"))


def _is_plan_search_answer(trace: Trace) -> None:
    assert trace.stages["prompt_tokens"].tolist() == [100, 180]
    assert trace.hidden["output_tokens"].tolist() == [10, 70]
    assert trace.hidden["tool_gap_s"].tolist() == [1.5, 0.0]
    assert [trace.tool_names[i] for i in trace.tools] == ["search", ""]
    assert trace.stages["ctx_prefix_tokens"].tolist() == [0, 110]
    assert trace.parents.tolist() == [0]


@pytest.mark.parametrize("name", ["otel", "langfuse", "langsmith"])
def test_every_export_of_one_run_makes_the_same_workflow(name: str, tmp_path: Path) -> None:
    _is_plan_search_answer(_read(FILES[name].rows, tmp_path).trace)


OPENINFERENCE = {
    "gen_ai.operation.name": "openinference.span.kind",
    "gen_ai.agent.name": "agent.name",
    "gen_ai.tool.name": "tool.name",
    "gen_ai.request.model": "llm.model_name",
    "gen_ai.usage.input_tokens": "llm.token_count.prompt",
    "gen_ai.usage.output_tokens": "llm.token_count.completion",
}
OPENLLMETRY = {
    "gen_ai.operation.name": "traceloop.span.kind",
    "gen_ai.agent.name": "traceloop.entity.name",
    "gen_ai.tool.name": "traceloop.entity.name",
    "gen_ai.usage.input_tokens": "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.output_tokens": "llm.usage.completion_tokens",
}
KINDS = {
    "OpenInference": {"chat": "LLM", "execute_tool": "TOOL", "invoke_agent": "AGENT"},
    "OpenLLMetry": {"chat": "chat", "execute_tool": "tool", "invoke_agent": "agent"},
}


def _in_dialect(dialect: str) -> list[dict[str, Any]]:
    names = OPENINFERENCE if dialect == "OpenInference" else OPENLLMETRY
    rows = copy.deepcopy(FILES["otel"].rows)
    for row in rows:
        given = row["attributes"]
        given["gen_ai.operation.name"] = KINDS[dialect][given["gen_ai.operation.name"]]
        row["attributes"] = {names.get(key, key): value for key, value in given.items()}
        if dialect == "OpenLLMetry" and row["attributes"]["traceloop.span.kind"] == "chat":
            row["attributes"]["llm.request.type"] = row["attributes"].pop("traceloop.span.kind")
    return rows


@pytest.mark.parametrize("dialect", ["OpenInference", "OpenLLMetry"])
def test_conventions_are_told_apart_and_say_the_same(dialect: str, tmp_path: Path) -> None:
    read = _read(_in_dialect(dialect), tmp_path)
    assert read.converted.dialect == dialect
    assert read.trace.role_names == ("helper",)
    _is_plan_search_answer(read.trace)


def test_the_output_limit_of_openinference_is_in_a_text_of_json(tmp_path: Path) -> None:
    rows = _in_dialect("OpenInference")
    rows[1]["attributes"]["llm.invocation_parameters"] = '{"temperature": 0, "max_tokens": 64}'
    assert _read(rows, tmp_path).trace.stages["max_output_tokens"].tolist() == [64, 512]


def _as_sdk(row: dict[str, Any]) -> dict[str, Any]:
    """A span as the Python SDK's ``to_json`` prints it."""
    stamp = {end: pd.Timestamp(int(row[f"{end}TimeUnixNano"])).isoformat() + "Z" for end in ("start", "end")}
    return {
        "name": row["name"],
        "context": {"trace_id": row["traceId"], "span_id": row["spanId"], "trace_state": "[]"},
        "parent_id": row["parentSpanId"] or None,
        "start_time": stamp["start"],
        "end_time": stamp["end"],
        "status": {"status_code": "UNSET"},
        "attributes": row["attributes"],
    }


def test_spans_as_an_sdk_prints_them_are_read(tmp_path: Path) -> None:
    read = _read([_as_sdk(row) for row in FILES["otel"].rows], tmp_path)
    assert read.format == "otel_sdk"
    _is_plan_search_answer(read.trace)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_spans_as_phoenix_exports_them_are_read(suffix: str, tmp_path: Path) -> None:
    rows = []
    for row in _in_dialect("OpenInference"):
        sdk = _as_sdk(row)
        attributes = {f"attributes.{key}": value for key, value in row["attributes"].items()}
        ids = {f"context.{key}": sdk["context"][key] for key in ("trace_id", "span_id")}
        rows.append(
            {
                **{key: sdk[key] for key in ("name", "parent_id", "start_time", "end_time")},
                **ids,
                **attributes,
                "status_code": "OK",
            }
        )
    path = tmp_path / f"spans{suffix}"
    frame = pd.DataFrame(rows)
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        write_rows(rows, path)
    read = import_trace(path)
    assert read.format == "phoenix"
    _is_plan_search_answer(read.trace)


# One request of 1000 and 100 tokens, seen by a framework and by a provider; four ways to wrap it.
WRAPPED = {
    "twice": [call("outer", "root", 0.1, 4.9), call("inner", "outer", 0.2, 4.8)],
    "three times": [
        call("outer", "root", 0.1, 4.9),
        call("middle", "outer", 0.2, 4.8),
        call("inner", "middle", 0.3, 4.7),
    ],
    "with structure between": [
        call("outer", "root", 0.1, 4.9),
        span("http", "outer", 0.15, 4.85),
        call("inner", "http", 0.2, 4.8),
    ],
    "a completion around a chat": [
        call("outer", "root", 0.1, 4.9, operation="text_completion"),
        call("inner", "outer", 0.2, 4.8),
    ],
    "the outer without tokens": [
        span("outer", "root", 0.1, 4.9, operation="chat", model="m"),
        call("inner", "outer", 0.2, 4.8),
    ],
    "the inner without tokens": [
        call("inner", "root", 0.2, 4.8),
        span("provider", "inner", 0.3, 4.7, operation="chat", model="m"),
    ],
}


@pytest.mark.parametrize("how", WRAPPED)
def test_one_request_is_one_call_however_many_spans_saw_it(how: str, tmp_path: Path) -> None:
    rows = [span("root", "", 0, 5, operation="invoke_agent", agent="bot"), *WRAPPED[how], call("next", "root", 5, 6)]
    trace = _read(rows, tmp_path).trace
    kept = 1 + next(i for i, row in enumerate(rows) if row["spanId"] == "inner")
    assert trace.rows.tolist() == [kept, len(rows)]
    assert trace.stages["prompt_tokens"].tolist() == [100, 100]
    assert trace.role_names == ("bot",)
    assert trace.parents.tolist() == [0]


@pytest.mark.parametrize(("outer", "told"), [((300, 30), False), ((310, 30), True)])
def test_a_call_with_the_sum_of_several_is_those_and_another_sum_is_said(
    outer: tuple[int, int], told: bool, tmp_path: Path
) -> None:
    rows = [
        call("loop", "", 0, 9, input_tokens=outer[0], output_tokens=outer[1], max_tokens=77),
        call("a", "loop", 0, 2),
        tool("t", "loop", 2, 3),
        call("b", "loop", 3, 5, input_tokens=200, output_tokens=20),
    ]
    read = _read(rows, tmp_path)
    assert read.trace.rows.tolist() == [2, 4]
    assert read.trace.hidden["tool_gap_s"].tolist() == [1.0, 0.0]
    assert read.trace.stages["max_output_tokens"].tolist() == [77, 77]
    assert any("other token counts" in note for note in read.converted.notes) == told


def test_a_call_around_a_tool_that_calls_comes_before_what_it_asked_for(tmp_path: Path) -> None:
    rows = [
        call("outer", "", 0, 9, input_tokens=500, output_tokens=40),
        tool("expert", "outer", 2, 8),
        call("inner", "expert", 3, 7),
        call("after", "", 9, 10),
    ]
    trace = _read(rows, tmp_path).trace
    assert trace.rows.tolist() == [1, 3, 4]
    assert trace.parent_start.tolist() == [0, 0, 1, 2]
    assert trace.parents.tolist() == [0, 1]


def test_branches_are_compared_within_what_the_clock_can_tell(tmp_path: Path) -> None:
    # Times of a millisecond: the second began in the millisecond in which the first ended.
    rows = [call("a", "", 0, 1.001), call("b", "", 1.000, 2), call("c", "", 1.990, 3)]
    trace = _read(rows, tmp_path).trace
    assert trace.parents.tolist() == [0, 0]
    assert trace.parent_start.tolist() == [0, 0, 1, 2]
    # The same with a clock of nanoseconds is an overlap.
    rows[0]["endTimeUnixNano"] = str(START_NS + 1_001_000_001)
    assert _read(rows, tmp_path).trace.parents.tolist() == [0]


def _otlp(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def value(item: object) -> dict[str, object]:
        return {"intValue": str(item)} if isinstance(item, int) else {"stringValue": item}

    return [
        row | {"attributes": [{"key": key, "value": value(item)} for key, item in row["attributes"].items()]}
        for row in rows
    ]


def test_what_otlp_leaves_out_is_empty_and_other_signals_hold_no_spans(tmp_path: Path) -> None:
    spans = _otlp(FILES["otel"].rows)
    bare = {key: spans[0][key] for key in ("traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano")}
    lines = [
        {"resourceSpans": [{"scopeSpans": [{"scope": {}, "spans": spans}]}]},
        {},
        {"resourceSpans": []},
        {"resourceSpans": [{"resource": {}}, {"scopeSpans": None}, {"scopeSpans": [{"scope": {}}]}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [bare | {"spanId": "x"}, {"traceId": "t9", "spanId": "y"}]}]}]},
        {"resourceMetrics": [{"scopeMetrics": []}]},
        {"resourceLogs": []},
    ]
    read = _read(lines, tmp_path)
    assert read.format == "otlp"
    _is_plan_search_answer(read.trace)


def test_names_with_underscores_and_old_scopes_are_otlp_too(tmp_path: Path) -> None:
    names = {"traceId": "trace_id", "spanId": "span_id", "parentSpanId": "parent_span_id"}
    names |= {"startTimeUnixNano": "start_time_unix_nano", "endTimeUnixNano": "end_time_unix_nano"}
    spans = [{names.get(key, key): value for key, value in row.items()} for row in _otlp(FILES["otel"].rows)]
    _is_plan_search_answer(_read(spans, tmp_path).trace)
    _is_plan_search_answer(_read([{"resource_spans": [{"scope_spans": [{"spans": spans}]}]}], tmp_path).trace)
    _is_plan_search_answer(
        _read([{"resourceSpans": [{"instrumentationLibrarySpans": [{"spans": spans}]}]}], tmp_path).trace
    )


def test_a_call_without_a_time_among_dates_is_named_and_structure_without_one_is_harmless(tmp_path: Path) -> None:
    rows = copy.deepcopy(FILES["otel"].rows)
    rows[0] |= {"startTimeUnixNano": "0", "endTimeUnixNano": "0"}
    _is_plan_search_answer(_read(rows, tmp_path).trace)
    rows[3] |= {"startTimeUnixNano": "0", "endTimeUnixNano": "0"}
    with pytest.raises(MaestroError, match=r"row 4 .*`startTimeUnixNano`: the call has no time"):
        _read(rows, tmp_path)
    for row in rows:
        row |= {"startTimeUnixNano": "0", "endTimeUnixNano": "5"}
    # Where all times are small, 0 is one of them.
    assert len(_read(rows, tmp_path).trace.stages) == 2


# Langfuse


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"usageDetails": {"input": 100, "output": 10, "total": 110}}, (100, 10, 0)),
        ({"usageDetails": {"input": 40, "input_cached_tokens": 60, "output": 10}}, (100, 10, 60)),
        (
            {
                "usageDetails": {
                    "input": 40,
                    "cache_read_input_tokens": 50,
                    "cache_creation_input_tokens": 10,
                    "output": 10,
                }
            },
            (100, 10, 50),
        ),
        ({"usageDetails": {"input": 100, "input_cached_tokens": 60, "output": 10, "total": 110}}, (100, 10, 60)),
        ({"usageDetails": {"input": 100, "output": 4, "output_reasoning_tokens": 6}}, (100, 10, 0)),
        ({"usage": {"input": 100, "output": 10, "unit": "TOKENS"}}, (100, 10, 0)),
        ({"usage": {"promptTokens": 100, "completionTokens": 10}}, (100, 10, 0)),
        ({"promptTokens": 100, "completionTokens": 10}, (100, 10, 0)),
    ],
)
def test_the_kinds_of_usage_of_langfuse_add_up(
    usage: dict[str, Any], expected: tuple[int, int, int], tmp_path: Path
) -> None:
    rows = [observation("a", "GENERATION", None, 0, 2, model="m", modelParameters={"max_tokens": 99}, **usage)]
    trace = _read(rows, tmp_path).trace
    found = trace.stages["prompt_tokens"][0], trace.hidden["output_tokens"][0], trace.stages["ctx_prefix_tokens"][0]
    assert found == expected
    assert trace.stages["max_output_tokens"][0] == 99


def test_traces_of_langfuse_and_its_blob_export_say_the_same(tmp_path: Path) -> None:
    rows = FILES["langfuse"].rows
    bare = [{key: value for key, value in row.items() if key != "traceId"} for row in rows]
    path = tmp_path / "traces.json"
    path.write_text(json.dumps({"id": "t1", "name": "x", "observations": bare}))
    read = import_trace(path)
    assert read.format == "langfuse_traces"
    _is_plan_search_answer(read.trace)
    names = {"traceId": "trace_id", "startTime": "start_time", "endTime": "end_time", "usageDetails": "usage_details"}
    names |= {"parentObservationId": "parent_observation_id", "model": "provided_model_name"}
    blob = [{names.get(key, key): value for key, value in row.items()} for row in rows]
    for row in blob:
        row["usage_details"] = json.dumps(row.get("usage_details", {}))
    frame = pd.DataFrame(blob)
    frame.to_csv(tmp_path / "blob.csv", index=False)
    read = import_trace(tmp_path / "blob.csv")
    assert read.format == "langfuse_blob"
    assert read.trace.model_names == ("m",)
    _is_plan_search_answer(read.trace)


# LangSmith


def test_runs_of_langsmith_find_their_parents_in_every_way_they_are_written(tmp_path: Path) -> None:
    rows = copy.deepcopy(FILES["langsmith"].rows)
    for row in rows[1:]:
        del row["parent_run_id"]
    rows[1]["parent_run_ids"] = ["root"]
    rows[2]["dotted_order"] = "20260604T120000000000Zroot.20260604T120002000000Zsearch"
    rows[3]["parent_run_id"] = "root"
    _is_plan_search_answer(_read(rows, tmp_path).trace)
    tree = {
        **rows[0],
        "child_runs": [{key: value for key, value in row.items() if key != "trace_id"} for row in rows[1:]],
    }
    path = tmp_path / "tree.json"
    path.write_text(json.dumps(tree))
    _is_plan_search_answer(import_trace(path).trace)


def test_runs_of_langsmith_have_tokens_models_and_nodes_where_langchain_puts_them(tmp_path: Path) -> None:
    extra = {"metadata": {"ls_model_name": "gpt", "langgraph_node": "writer", "ls_max_tokens": 64}}
    usage = {"usage_metadata": {"input_tokens": 200, "output_tokens": 9, "input_token_details": {"cache_read": 128}}}
    rows = [
        run("root", "chain", None, 0, 9),
        run("model", "llm", "root", 0, 2, extra=extra, outputs=usage),
        run(
            "same",
            "llm",
            "model",
            0.5,
            1.5,
            prompt_tokens=200,
            completion_tokens=9,
            prompt_token_details={"cache_read": 128},
        ),
    ]
    trace = _read(rows, tmp_path).trace
    assert trace.rows.tolist() == [3]
    assert (trace.model_names, trace.role_names) == (("gpt",), ("writer",))
    assert trace.stages["max_output_tokens"].tolist() == [64]
    assert trace.stages["ctx_prefix_tokens"].tolist() == [128]


def test_times_of_langsmith_may_be_milliseconds(tmp_path: Path) -> None:
    rows = copy.deepcopy(FILES["langsmith"].rows)
    for row in rows:
        for end in ("start_time", "end_time"):
            row[end] = pd.Timestamp(row[end], tz="UTC").value // 10**6
    _is_plan_search_answer(_read(rows, tmp_path).trace)


def test_a_long_chain_of_spans_is_read_in_a_moment(tmp_path: Path) -> None:
    rows = [row for i in range(2000) for row in (call(f"c{i}", "", i, i + 0.5), tool(f"t{i}", "", i + 0.5, i + 0.75))]
    trace = read_trace(write_rows(rows, tmp_path / "spans.jsonl"))
    assert np.array_equal(trace.parents, np.arange(1999))
    assert set(trace.hidden["tool_gap_s"]) == {0.25}
