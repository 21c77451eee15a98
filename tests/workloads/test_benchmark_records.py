"""What load generators write down of every request: vLLM's benchmark and AIPerf."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import read_trace
from maestro_gym.workloads.traces.files import import_trace
from tests.workloads.foreign_files import FILES, write_rows

RUN = FILES["vllm_bench"].rows[0]


def test_requests_of_a_benchmark_come_when_they_were_sent_without_the_failed(tmp_path: Path) -> None:
    read = import_trace(write_rows([RUN], tmp_path / "run.json"))
    assert read.format == "vllm_bench"
    assert read.trace.workflows["arrival_s"].tolist() == [0.0, 0.5]
    assert read.trace.stages["prompt_tokens"].tolist() == [200, 100]
    assert read.trace.hidden["output_tokens"].tolist() == [20, 10]
    assert read.trace.model_names == ("m",)
    assert any(note.startswith("1 of 3 requests failed") for note in read.converted.notes)


@pytest.mark.parametrize(("rate", "times"), [(2.0, [0.0, 0.5]), ("inf", [0.0, 0.0]), (float("inf"), [0.0, 0.0])])
def test_without_start_times_the_rate_says_when(rate: object, times: list[float], tmp_path: Path) -> None:
    run = {key: value for key, value in RUN.items() if key != "start_times"} | {"request_rate": rate}
    read = import_trace(write_rows([run], tmp_path / "run.json"))
    assert read.trace.workflows["arrival_s"].tolist() == times
    assert any("no start times" in note for note in read.converted.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output_lens": [10]}, "output_lens`: has 1 entries, input_lens has 3"),
        ({"start_times": None, "request_rate": None}, "neither start_times nor a request_rate"),
        ({"start_times": [0.0, "soon", 1.0]}, r"start_times\[1\]: the value 'soon'"),
        ({"input_lens": [1, 2.5, 3]}, r"input_lens\[1\]: the value 2.5"),
        ({"errors": ["a", "b", "c"]}, "no request was answered"),
        ({"input_lens": 7}, "is no list"),
        ({"output_lens": None}, "`output_lens`: is empty"),
    ],
)
def test_a_run_that_contradicts_itself_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match=words):
        read_trace(write_rows([RUN | change], tmp_path / "run.json"))


def test_two_runs_have_two_clocks(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="holds 2 runs"):
        read_trace(write_rows([RUN, RUN], tmp_path / "runs.jsonl"))


def test_a_result_without_its_requests_says_how_to_get_them(tmp_path: Path) -> None:
    summary = {"total_input_tokens": 600, "total_output_tokens": 30, "request_throughput": 1.0, "mean_ttft_ms": 100.0}
    with pytest.raises(MaestroError, match="--save-detailed"):
        read_trace(write_rows([summary], tmp_path / "run.json"))


def test_conversations_of_aiperf_are_chains_of_their_turns(tmp_path: Path) -> None:
    rows = copy.deepcopy(FILES["aiperf"].rows)
    for change in ({"benchmark_phase": "warmup"}, {"was_cancelled": True}):
        rows.append({**rows[0], "metadata": rows[0]["metadata"] | change})
    rows.append({**rows[0], "error": {"code": 500}})
    read = import_trace(write_rows(rows[::-1], tmp_path / "profile_export.jsonl"))
    assert read.trace.workflows["arrival_s"].tolist() == [0.0, 6.0]
    assert read.trace.workflows["num_stages"].tolist() == [2, 2]
    assert read.trace.stages["prompt_tokens"].tolist() == [100, 200, 100, 200]
    assert read.trace.stages["ctx_prefix_tokens"].tolist() == [0, 120, 0, 120]
    assert read.trace.hidden["tool_gap_s"].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert any(note.startswith("3 of 7 records") for note in read.converted.notes)


def test_reasoning_tokens_of_aiperf_are_output(tmp_path: Path) -> None:
    rows = copy.deepcopy(FILES["aiperf"].rows)
    for row in rows:
        del row["metrics"]["output_sequence_length"]
        row["metrics"] |= {"output_token_count": {"value": 15}, "reasoning_token_count": {"value": 7}}
    trace = read_trace(write_rows(rows, tmp_path / "profile_export.jsonl"))
    assert trace.hidden["output_tokens"].tolist() == [22] * 4
