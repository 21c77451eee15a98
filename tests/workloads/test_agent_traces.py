"""Sessions of coding agents, Weka's and TraceLab's: who waits for whom, how long, and what prompts share."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import read_trace
from maestro_gym.workloads.traces.files import Imported, import_trace
from tests.workloads.foreign_files import FILES, request, write_rows


def _weka(requests: list[dict[str, Any]], folder: Path) -> Imported:
    trace = {"id": "w", "block_size": 64, "hash_id_scope": "local", "requests": requests}
    return import_trace(write_rows([trace], folder / "trace.json"))


def _by_place(read: Imported) -> dict[str, int]:
    """Place of a request in its trace -> call."""
    table = read.converted.table
    return {name: i for i, name in enumerate(table["call_id"])}


def _parents(read: Imported) -> dict[str, set[str]]:
    table = read.converted.table
    return {
        call: set(parents.split("|")) - {""}
        for call, parents in zip(table["call_id"], table["parent_ids"], strict=True)
    }


def test_a_sub_agent_lies_between_the_call_that_asked_and_the_one_that_goes_on(tmp_path: Path) -> None:
    read = import_trace(write_rows(FILES["weka"].rows, tmp_path / "traces.jsonl"))
    assert len(read.trace.workflows) == 4
    one = read.converted.table.iloc[:4].set_index("call_id")
    assert one["role"].to_dict() == {"[0]": "main", "[1].[0]": "Explore", "[1].[1]": "Explore", "[2]": "main"}
    assert one["parent_ids"].to_dict() == {"[0]": "", "[1].[0]": "[0]", "[1].[1]": "[1].[0]", "[2]": "[1].[1]"}
    # 9 s less 6.5 s is half a second after the first call ended; the second of the sub-agent ends at 2.5 + 3 + 2.
    assert one["tool_gap_s"].to_dict() == {"[0]": 0.5, "[1].[0]": 1.0, "[1].[1]": 2.5, "[2]": 0.0}
    # Ten blocks of 64 in the main context, three in the sub-agent's own.
    assert one["ctx_prefix_tokens"].to_dict() == {"[0]": 0, "[1].[0]": 0, "[1].[1]": 192, "[2]": 640}
    assert one["tool_intent"].tolist() == [1, 1, 1, 0]
    assert "all arrive at 0" in " ".join(read.converted.notes)


def test_sub_agents_of_one_call_run_side_by_side_and_the_next_call_waits_for_all(tmp_path: Path) -> None:
    def agent(number: int, came_back_s: float, took_s: float) -> dict[str, Any]:
        inside = [request(0.0, 100 + number, 9, 1), request(took_s - 2.0, 200, 9, 3)]
        return {
            "t": came_back_s,
            "type": "subagent",
            "agent_id": f"a{number}",
            "subagent_type": "Explore",
            "duration_ms": took_s * 1e3,
            "requests": inside,
        }

    read = _weka(
        [request(0.0, 640, 9, 10), agent(1, 12.0, 9.0), agent(2, 20.0, 17.0), request(23.0, 900, 9, 14)], tmp_path
    )
    assert _parents(read) == {
        "[0]": set(),
        "[1].[0]": {"[0]"},
        "[1].[1]": {"[1].[0]"},
        "[2].[0]": {"[0]"},
        "[2].[1]": {"[2].[0]"},
        "[3]": {"[1].[1]", "[2].[1]"},
    }
    gaps = {name: read.trace.hidden["tool_gap_s"][i] for name, i in _by_place(read).items()}
    # The next call came 3 s after the later one ended; the earlier one made nobody wait.
    assert gaps == {"[0]": 1.0, "[1].[0]": 5.0, "[2].[0]": 13.0, "[1].[1]": 3.0, "[2].[1]": 3.0, "[3]": 0.0}
    # Contexts of two agents of one kind are two contexts.
    groups = read.trace.stages["ctx_group"]
    assert len(set(groups.tolist())) == 3


def test_a_request_that_was_sent_twice_is_one_call(tmp_path: Path) -> None:
    first = request(0.0, 640, 9, 10, type="s")
    read = _weka([first, first | {"t": 1.0, "type": "n"}, request(9.0, 700, 9, 10)], tmp_path)
    assert len(read.trace.stages) == 2
    assert any("sent twice" in note for note in read.converted.notes)


def test_a_call_without_a_time_goes_at_the_median_pace_and_never_into_the_next(tmp_path: Path) -> None:
    quiet = request(4.0, 640, 50, 10, stop="", input_types=["text"])
    del quiet["api_time"]
    after = request(20.0, 640, 10, 10, input_types=["tool_result"])
    read = _weka([request(0.0, 640, 10, 10), quiet, after], tmp_path)
    # 2 s for 10 tokens: 10 s for 50, which leaves 6 of the 16 until the next.
    assert read.trace.hidden["tool_gap_s"].tolist() == pytest.approx([2.0, 6.0, 0.0])
    assert read.trace.hidden["tool_intent"].tolist() == [1, 1, 1]
    assert any("median pace" in note for note in read.converted.notes)
    close = _weka([request(0.0, 640, 10, 10), quiet, after | {"t": 7.0}], tmp_path)
    assert close.trace.hidden["tool_gap_s"].tolist() == pytest.approx([2.0, 0.0, 0.0])
    assert _parents(close)["[2]"] == {"[1]"}


def test_whole_seconds_of_a_clock_do_not_make_calls_overlap(tmp_path: Path) -> None:
    rows = [request(0.0, 640, 9, 10, api_time=4.4), request(4.0, 700, 9, 10), request(5.0, 700, 9, 10)]
    # The second begins in the second in which the first ended; the third a second before the second ends.
    assert _parents(_weka(rows, tmp_path)) == {"[0]": set(), "[1]": {"[0]"}, "[2]": {"[1]"}}
    # A sub-agent beside it, whose start is timed finer, changes nothing.
    agent = {"t": 12.7, "type": "subagent", "duration_ms": 3600, "requests": [request(0.0, 100, 9, 1)]}
    assert _parents(_weka([*rows, agent, request(16.0, 700, 9, 10)], tmp_path))["[1]"] == {"[0]"}
    rows[2]["t"] = 4.2
    assert _parents(_weka(rows, tmp_path))["[2]"] != {"[1]"}


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("in", -1, "requests[0].in"),
        ("out", "many", "requests[0].out"),
        ("t", None, "requests[0].t"),
        ("api_time", float("inf"), "requests[0].api_time"),
        ("hash_ids", 7, "requests[0].hash_ids"),
        ("type", "x", "requests[0].type"),
        ("hash_ids", list(range(99)), "99 blocks of 64 tokens are more than the prompt of 640"),
    ],
)
def test_a_broken_request_is_named_by_its_place(place: str, value: object, words: str, tmp_path: Path) -> None:
    with pytest.raises(MaestroError) as raised:
        _weka([request(0.0, 640, 9, 10) | {place: value}], tmp_path)
    assert words in str(raised.value)


def test_rounds_of_tracelab_are_chains_in_milliseconds_that_keep_their_prefix(tmp_path: Path) -> None:
    rows = copy.deepcopy(FILES["tracelab"].rows)
    trace = read_trace(write_rows(rows[::-1], tmp_path / "rounds.csv"))
    assert trace.workflows["arrival_s"].tolist() == [0.0, 0.2]
    assert trace.stages["prompt_tokens"].tolist() == [512, 704, 512, 704]
    assert trace.stages["ctx_prefix_tokens"].tolist() == [0, 576, 0, 576]
    assert trace.hidden["tool_gap_s"].tolist() == [0.1, 0.0, 0.1, 0.0]
    rows = [
        {"id" if key == "session_id" else key: value for key, value in row.items() if key != "arrival_time"}
        for row in rows
    ]
    rows[0]["prefix_len"], rows[1]["prefix_len"] = 100, 800
    read = import_trace(write_rows(rows, tmp_path / "cut.csv"))
    # A session that was cut out of a longer one shares what it held itself.
    assert read.trace.stages["prompt_tokens"][:2].tolist() == [612, 928]
    assert read.trace.stages["ctx_prefix_tokens"][:2].tolist() == [0, 676]
    assert any(note.startswith("2 of 4 rounds keep more") for note in read.converted.notes)
    for row in rows:
        del row["id"]
    with pytest.raises(MaestroError, match="`id` of the tracelab format is missing"):
        read_trace(write_rows(rows, tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("name", "calls", "prompt", "output"),
    [
        ("0028", 66, 2_972_060, 17_892),
        ("0277", 53, 2_576_410, 31_862),
        ("0291", 32, 2_254_119, 19_504),
        ("0326", 41, 2_229_881, 13_317),
    ],
)
def test_weka_traces_hold_what_their_totals_say(
    traces_dir: Path, name: str, calls: int, prompt: int, output: int
) -> None:
    path = traces_dir / "weka_agentic" / f"trace_{name}.json"
    if not path.is_file():
        pytest.skip("the folder of traces has no Weka traces")
    trace = read_trace(path)
    assert len(trace.stages) == calls
    assert (trace.stages["prompt_tokens"].sum(), trace.hidden["output_tokens"].sum()) == (prompt, output)
    assert np.all(trace.stages["ctx_prefix_tokens"] % 64 == 0)
