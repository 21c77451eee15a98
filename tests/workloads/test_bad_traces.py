"""Broken files of every format: each is refused in one paragraph that names file, row, column and fix."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import read_trace
from maestro_gym.workloads.arrivals.client_files import fit_arrivals
from maestro_gym.workloads.popularity import fit_popularity
from tests.workloads.foreign_files import FILES, call, span, tool, write_rows

# format: row (1 = first), column, bad value, words of the message
CELLS: list[tuple[str, int, str, object, tuple[str, ...]]] = [
    ("azure", 2, "TIMESTAMP", "yesterday", ("no date and time", "write it like")),
    ("azure", 1, "ContextTokens", "-3", ("below 0",)),
    ("azure", 4, "GeneratedTokens", "2.5", ("whole number",)),
    ("mooncake", 2, "hash_ids", "0,1", ("list of whole numbers",)),
    ("mooncake", 3, "timestamp", None, ("a number",)),
    ("mooncake", 4, "input_length", "long", ("'long'", "whole number")),
    ("chatdev", 1, "workflow_start", "", ("no date and time",)),
    ("chatdev", 2, "output_tokens", "", ("whole number",)),
    ("chatdev", 4, "call_index", "0", ("twice",)),
    ("chatdev", 4, "gap_from_prev_end_s", "-1", ("below 0",)),
    ("agentcgroup", 2, "input_tokens", "1e15", ("too large", "unit")),
    ("agentcgroup", 1, "tool_time_s", "nan", ("a number of seconds",)),
    ("lmcache", 2, "t_log_s", "inf", ("a number",)),
    ("lmcache", 3, "tool_intent", "yes", ("'yes'",)),
    ("lmcache", 2, "call_index", "0", ("twice",)),
    ("taubench", 1, "output_tokens_est", "12,5", ("'12,5'",)),
    ("taubench", 2, "tool_intent", "7", ("neither 0 nor 1",)),
    ("who_and_when", 3, "history_tokens_est", "1.5", ("round",)),
    ("who_and_when", 1, "is_llm_call", "", ("whole number",)),
    ("burstgpt", 1, "Total tokens", "999", ("not the sum",)),
    ("burstgpt", 3, "Response tokens", "many", ("'many'",)),
    ("otel", 2, "startTimeUnixNano", "soon", ("nanoseconds",)),
    ("otel", 4, "endTimeUnixNano", "1", ("ends before it starts",)),
    ("otel", 3, "spanId", "plan", ("twice",)),
    ("otel", 1, "traceId", None, ("no id",)),
    ("otel", 4, "parentSpanId", 12, ("no id",)),
    ("otel", 1, "parentSpanId", "answer", ("circle",)),
    ("otel", 2, "attributes", "chat", ("no mapping",)),
    ("otel", 2, "attributes", {"gen_ai.operation.name": "chat"}, ("gen_ai.usage.input_tokens", "token")),
    ("otel", 2, "attributes", {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": -4}, ("-4", "tokens")),
    (
        "otel",
        2,
        "attributes",
        {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "9" * 5000},
        ("999", "tokens"),
    ),
]


@pytest.mark.parametrize(
    ("name", "row", "column", "value", "words"),
    CELLS,
    ids=lambda part: str(part)[:24] if isinstance(part, str) else None,
)
def test_a_broken_cell_is_named_with_file_row_column_and_fix(
    name: str, row: int, column: str, value: object, words: tuple[str, ...], tmp_path: Path
) -> None:
    known = FILES[name]
    rows = copy.deepcopy(known.rows)
    rows[row - 1][column] = value
    path = write_rows(rows, tmp_path / f"broken{known.suffix}")
    with pytest.raises(MaestroError) as raised:
        read_trace(path)
    message = str(raised.value)
    assert "\n" not in message
    assert path.name in message
    for word in words:
        assert word in message
    # A foreign column may be called otherwise in the trace that it becomes.
    if "twice" not in message and "circle" not in message and "neither 0 nor 1" not in message:
        assert f"row {row} " in message
        assert f"`{column}`" in message or any(word.startswith(("gen_ai", "`gen_ai")) for word in message.split())


@pytest.mark.parametrize("name", [name for name, known in FILES.items() if known.counts and name != "otel"])
def test_a_missing_column_is_named(name: str, tmp_path: Path) -> None:
    known = FILES[name]
    column = known.counts[-1]
    rows = [{key: value for key, value in row.items() if key != column} for row in known.rows]
    path = write_rows(rows, tmp_path / f"broken{known.suffix}")
    with pytest.raises(MaestroError, match=f"`{column}`.*missing"):
        read_trace(path, name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"traceId": "a", "traceId": "b"}\n', "stands twice"),
        (b"[" * 100_000 + b"\n", "too deep"),
        (b'{"a": \xff}\n', "cannot be read"),
        (b"[1, 2]\n", "no JSON object"),
        (b'{"resourceSpans": 3}\n', "resourceSpans"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": []}]}]}\n', "no span"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [7]}]}]}\n', "resourceSpans"),
        (b"", "column"),
    ],
)
def test_broken_json_lines_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_bytes(content)
    with pytest.raises(MaestroError, match=words) as raised:
        read_trace(path)
    assert "spans.jsonl" in str(raised.value)


def test_files_in_which_nothing_was_served_are_refused(tmp_path: Path) -> None:
    failures = [row | {"Response tokens": 0, "Total tokens": row["Request tokens"]} for row in FILES["burstgpt"].rows]
    with pytest.raises(MaestroError, match="no request has response tokens"):
        read_trace(write_rows(failures, tmp_path / "burst.csv"))
    humans = [row | {"is_llm_call": 0} for row in FILES["who_and_when"].rows]
    with pytest.raises(MaestroError, match="is_llm_call"):
        read_trace(write_rows(humans, tmp_path / "who.csv"))
    with pytest.raises(MaestroError, match="no span is a model call"):
        read_trace(write_rows([tool("t", "", 0, 1)], tmp_path / "spans.jsonl"))


WINDOW = {"client_id": 0, "window_start_s": 600, "rate_req_per_s": 0.4, "cv": 1.5, "interarrival_dist": "Gamma"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cv": 0}, "row 1 .*`cv`"),
        ({"rate_req_per_s": "fast"}, "row 1 .*`rate_req_per_s`.*'fast'"),
        ({"interarrival_dist": "Pareto"}, "row 1 .*Gamma or Weibull"),
    ],
)
def test_broken_arrival_windows_are_refused(change: dict[str, object], words: str, tmp_path: Path) -> None:
    path = write_rows([WINDOW | change], tmp_path / "windows.csv")
    with pytest.raises(MaestroError, match=words):
        fit_arrivals([path], name="x", date="2026-01-01", command="x")


def test_requests_without_a_model_are_refused(tmp_path: Path) -> None:
    path = write_rows([{"checkpoint_model_version_id": ""}], tmp_path / "requests.csv")
    with pytest.raises(MaestroError, match="no row names a model"):
        fit_popularity(path, name="x", date="2026-01-01", command="x")


ODD = st.one_of(
    st.sampled_from(
        ["", "nan", "-1", "1e400", "0", "|", " ", "True", "x" * 300, "1e12", "2023-01-01", "\u0661", "1_0"]
    ),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=6),
    st.none(),
    st.lists(st.integers(-5, 5), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.booleans(),
)


def _is_number(value: object, whole: bool) -> bool:
    """Whether a cell, as a file holds it, is a number of at least 0 that is small enough to be meant."""
    try:
        number = float(str(value).strip())
    except (ValueError, OverflowError):
        return False
    return math.isfinite(number) and 0 <= number <= 1e12 and (not whole or number == math.floor(number))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_odd_cells_are_read_as_they_stand_or_refused_in_words(name: str, data: st.DataObject, tmp_path: Path) -> None:
    known = FILES[name]
    rows: list[dict[str, Any]] = copy.deepcopy(known.rows)
    changed = data.draw(
        st.lists(
            st.tuples(st.integers(0, len(rows) - 1), st.sampled_from(sorted(rows[0])), ODD), min_size=1, max_size=3
        )
    )
    for row, column, value in changed:
        rows[row][column] = value
    try:
        path = write_rows(rows, tmp_path / f"odd{known.suffix}")
    except (UnicodeEncodeError, ValueError):
        return
    try:
        trace = read_trace(path, name)
    except MaestroError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert "\n" not in refusal.strip()
        assert path.name in refusal
        return
    # What was accepted is a possible trace, and no cell that is no number was taken for one.
    assert len(trace.stages) >= 1
    assert np.all(trace.stages["prompt_tokens"] >= 1)
    assert np.all(trace.hidden["output_tokens"] >= 1)
    assert np.all(np.isfinite(trace.workflows["arrival_s"]))
    assert np.all(np.diff(trace.workflows["arrival_s"]) >= 0)
    if name == "otel":
        return
    for row in rows:
        for column in (*known.counts, *known.times):
            value = row[column]
            if (value is None or str(value).strip() == "") and column in known.blank:
                continue
            assert _is_number(value, column in known.counts), (column, value)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5)),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=8,
        ).map(lambda value: json.dumps({"resourceSpans": value}).encode()),
    ),
    suffix=st.sampled_from([".csv", ".jsonl", ".parquet"]),
)
def test_any_bytes_are_refused_in_words(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(content)
    with pytest.raises(MaestroError) as raised:
        read_trace(path)
    assert path.name in str(raised.value)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from(["chat", "execute_tool", "invoke_agent", "other"]),
            st.integers(-1, 7),  # parent: an earlier or later span, or none
            st.floats(0, 10),
            st.floats(0, 5),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_tree_of_spans_makes_a_workflow_without_circles(
    parts: list[tuple[str, int, float, float]], tmp_path: Path
) -> None:
    rows = []
    for i, (operation, parent, start_s, length_s) in enumerate(parts):
        above = f"s{parent}" if 0 <= parent < i else ""
        given = {"input_tokens": 10, "output_tokens": 5} if operation == "chat" else {}
        rows.append(span(f"s{i}", above, start_s, start_s + length_s, operation=operation, **given))
    path = write_rows(rows, tmp_path / "tree.jsonl")
    calls = {i for i, part in enumerate(parts) if part[0] == "chat"}
    if not calls:
        with pytest.raises(MaestroError, match="no span is a model call"):
            read_trace(path)
        return
    trace = read_trace(path)
    # A chat right around a chat is the same call; behind a tool or an agent it is another.
    outer = set()
    for i in calls:
        above = parts[i][1]
        while 0 <= above < i and parts[above][0] == "other":
            i, above = above, parts[above][1]
        if 0 <= above < i and above in calls:
            outer.add(above)
    assert len(trace.stages) == len(calls - outer)
    assert np.all(trace.hidden["tool_gap_s"] >= 0)


def test_every_small_file_is_correct_before_it_is_broken(tmp_path: Path) -> None:
    for name, known in FILES.items():
        trace = read_trace(write_rows(known.rows, tmp_path / f"{name}{known.suffix}"))
        assert len(trace.workflows) >= 1, name
    assert call("x", "", 0, 1)["attributes"]["gen_ai.operation.name"] == "chat"
