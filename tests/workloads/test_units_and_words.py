"""Numbers are held against their units, contradictions resolved or refused, and refusals speak of the user's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import Deployments, TraceWorkload, read_trace
from maestro_gym.workloads.traces.files import import_trace
from tests.workloads.foreign_files import FILES, call, write_rows


def _refused(rows: list[dict[str, Any]], path: Path) -> str:
    with pytest.raises(MaestroError) as raised:
        read_trace(write_rows(rows, path))
    message = str(raised.value)
    assert "np." not in message
    assert "_row" not in message
    return message


def test_a_bailian_trace_is_not_taken_for_mooncake(tmp_path: Path) -> None:
    read = import_trace(write_rows(FILES["bailian"].rows, tmp_path / "trace.jsonl"))
    assert read.format == "bailian"
    assert read.trace.workflows["arrival_s"].tolist() == [0.0, 30.0, 60.0, 90.0]
    # Rows 1 and 3, and 2 and 4, have their first block of 16 tokens in common.
    assert read.trace.stages["ctx_prefix_tokens"].tolist() == [0, 0, 16, 16]
    assert read.trace.application_names == ("bailian_text",)


def test_blocks_that_cannot_make_their_prompt_are_refused_with_the_size_that_would(tmp_path: Path) -> None:
    rows = [
        {key: row[key] for key in ("timestamp", "input_length", "output_length", "hash_ids")}
        for row in FILES["bailian"].rows
    ]
    message = _refused(rows, tmp_path / "trace.jsonl")
    assert (
        "row 1 (the header not counted), column `hash_ids`: 3 blocks of 512 tokens cannot make a prompt of 40"
        in message
    )
    assert "All rows would fit blocks of 16 tokens" in message
    few = [{"timestamp": 0, "input_length": 20, "output_length": 10, "hash_ids": [0, 1, 2, 3]}]
    assert "4 blocks of 512 tokens" in _refused(few, tmp_path / "few.jsonl")


def test_a_last_block_may_have_an_id_or_none(tmp_path: Path) -> None:
    rows = [
        {"timestamp": i, "input_length": 1100, "output_length": 5, "hash_ids": list(range(2 + i))} for i in range(2)
    ]
    assert len(read_trace(write_rows(rows, tmp_path / "trace.jsonl")).stages) == 2


@pytest.mark.parametrize(
    ("name", "row", "change", "words"),
    [
        ("chatdev", 4, {"call_index": 0}, ["`call_index`", "'0'", "twice"]),
        ("taubench", 2, {"tool_intent": 7}, ["`tool_intent`", "neither 0 nor 1"]),
        ("tracelab", 2, {"arrival_time": 50}, ["`arrival_time`", "'50'", "agree"]),
        ("tracelab", 2, {"arrival_time": 5000}, ["`arrival_time`", "'5000'", "agree"]),
        ("tracelab", 4, {"session_id": ""}, ["`session_id`", "blank"]),
        (
            "agentcgroup",
            1,
            {"cache_read_tokens": 16_000_000, "input_tokens": 16_000_000},
            ["`input_tokens`", "`cache_read_tokens`", "too large"],
        ),
        ("requests", 2, {"max_output_tokens": 3}, ["`output_tokens`", "above max_output_tokens"]),
        ("requests", 3, {"prompt_tokens": 99_999_999}, ["`prompt_tokens`", "'99999999'", "tokens"]),
        (
            "aiperf",
            1,
            {"metrics": {"input_sequence_length": {"value": 3, "unit": "ms"}}},
            ["`metrics.input_sequence_length`", "'ms'"],
        ),
    ],
)
def test_a_refusal_after_conversion_names_the_files_own_columns_and_cells(
    name: str, row: int, change: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    rows = [dict(item) for item in FILES[name].rows]
    if "max_output_tokens" in change:
        rows = [item | {"max_output_tokens": 100} for item in rows]
    rows[row - 1] |= change
    message = _refused(rows, tmp_path / f"trace{FILES[name].suffix}")
    assert f"row {row} " in message
    for word in words:
        assert word in message


def test_a_workflow_trace_is_quoted_as_it_stands(calls: Any, tmp_path: Path) -> None:  # noqa: ANN401 - a data frame
    path = tmp_path / "trace.csv"
    calls.assign(arrival_s=[0, 0, 0, 0, 3, 3, 2.5, 9]).to_csv(path, index=False)
    with pytest.raises(
        MaestroError, match=r"row 7 .*`arrival_s`: the value '2.5' is earlier .* sort the rows by arrival_s"
    ):
        read_trace(path)
    calls.assign(output_tokens=2000).to_csv(path, index=False)
    with pytest.raises(MaestroError, match=r"row 1 .*`output_tokens`: the value '2000' is above max_output_tokens"):
        read_trace(path)


def test_cached_tokens_counted_apart_are_added_for_every_call_of_that_model(tmp_path: Path) -> None:
    read, write = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"
    rows = [call("a", "", 0, 1), call("b", "", 2, 3), call("c", "", 4, 5, model="other", input_tokens=400)]
    rows[0]["attributes"] |= {read: 0, write: 60}
    rows[1]["attributes"] |= {read: 160, write: 40}
    rows[2]["attributes"] |= {read: 300}
    imported = import_trace(write_rows(rows, tmp_path / "spans.jsonl"))
    assert imported.trace.stages["prompt_tokens"].tolist() == [160, 300, 400]
    assert imported.trace.stages["ctx_prefix_tokens"].tolist() == [0, 160, 300]
    assert any("cached tokens" in note for note in imported.converted.notes)


def test_a_total_below_its_parts_is_refused_and_one_that_is_alone_fills_the_gap(tmp_path: Path) -> None:
    rows = [call("a", "", 0, 1)]
    rows[0]["attributes"]["gen_ai.usage.total_tokens"] = 109
    assert "gen_ai.usage.total_tokens is 109" in _refused(rows, tmp_path / "spans.jsonl")
    rows[0]["attributes"]["gen_ai.usage.total_tokens"] = 130
    del rows[0]["attributes"]["gen_ai.usage.input_tokens"]
    assert read_trace(write_rows(rows, tmp_path / "spans.jsonl")).stages["prompt_tokens"].tolist() == [120]


@pytest.mark.parametrize(
    ("name", "row", "change", "words"),
    [
        ("agentcgroup", 2, {"tools": "Bash"}, ["`tools`", "'Bash'", "n_tool_calls is 0"]),
        ("agentcgroup", 2, {"tool_time_s": 3}, ["`tool_time_s`", "'3'", "n_tool_calls"]),
        ("agentcgroup", 1, {"output_tokens_reliable": 2}, ["`output_tokens_reliable`", "neither 0 nor 1"]),
        ("taubench", 2, {"tool_name": "get_user"}, ["`tool_name`", "tool_intent is 0"]),
        ("taubench", 1, {"next_event": "tol"}, ["`next_event`", "'tol'", "tool, user, end"]),
        ("who_and_when", 1, {"is_llm_call": 2}, ["`is_llm_call`", "neither 0 nor 1"]),
        ("lmcache", 2, {"shared_prefix_tokens_est": 301}, ["`shared_prefix_tokens_est`", "'301'", "a part"]),
    ],
)
def test_fields_that_contradict_each_other_are_refused(
    name: str, row: int, change: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    rows = [dict(item) for item in FILES[name].rows]
    rows[row - 1] |= change
    message = _refused(rows, tmp_path / f"trace{FILES[name].suffix}")
    for word in [f"row {row} ", *words]:
        assert word in message


@pytest.mark.parametrize(("unit", "name"), [(10**3, "microseconds"), (10**6, "milliseconds"), (10**9, "seconds")])
def test_times_in_a_coarser_unit_than_nanoseconds_are_refused(unit: int, name: str, tmp_path: Path) -> None:
    rows = [dict(item) for item in FILES["otel"].rows]
    for row in rows:
        row |= {end: str(int(row[end]) // unit) for end in ("startTimeUnixNano", "endTimeUnixNano")}
    assert f"are {name} since 1970" in _refused(rows, tmp_path / "spans.jsonl")


def test_timestamps_of_mooncake_with_fractions_are_doubted_aloud(tmp_path: Path) -> None:
    rows = [dict(item) | {"timestamp": 0.5 * i} for i, item in enumerate(FILES["mooncake"].rows)]
    read = import_trace(write_rows(rows, tmp_path / "trace.jsonl"))
    assert any("if they are seconds" in note for note in read.converted.notes)


@pytest.mark.parametrize("word", ["-1", "0", "5", "0001-01-01T00:00:00Z", "9999-12-31", "20231", "18:15:46"])
@pytest.mark.parametrize(
    ("name", "column"), [("azure", "TIMESTAMP"), ("langfuse", "endTime"), ("langsmith", "start_time")]
)
def test_a_number_that_could_be_a_year_is_no_date(word: str, name: str, column: str, tmp_path: Path) -> None:
    rows = [dict(item) for item in FILES[name].rows]
    rows[1][column] = word
    message = _refused(rows, tmp_path / f"trace{FILES[name].suffix}")
    assert f"row 2 (the header not counted), column `{column}`: the value '{word}' is no date and time" in message


def test_a_prompt_that_fits_no_context_is_named_by_the_files_own_column(
    deployments: Deployments, tmp_path: Path
) -> None:
    rows = [dict(item) for item in FILES["azure"].rows]
    rows[2]["ContextTokens"] = 40_000
    path = write_rows(rows, tmp_path / "azure.csv")
    with pytest.raises(MaestroError, match=r"row 3, column `ContextTokens`: 40000 prompt"):
        TraceWorkload(path, deployments, model_map={"*": "by_popularity"})
