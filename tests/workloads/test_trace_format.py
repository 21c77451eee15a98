from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import Deployments, FamilyWorkload, TraceWorkload, read_trace, write_trace
from maestro_gym.workloads.traces.format import COLUMNS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "workload-trace-format.md"


def _write(frame: pd.DataFrame, folder: Path, suffix: str = ".csv") -> Path:
    path = folder / f"trace{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_trace_is_read_with_parents_before_children(calls: pd.DataFrame, tmp_path: Path, suffix: str) -> None:
    trace = read_trace(_write(calls, tmp_path, suffix))
    assert trace.workflows["num_stages"].tolist() == [4, 2, 1, 1]
    assert trace.rows.tolist() == [1, 3, 4, 2, 5, 6, 7, 8]
    parents = [trace.parents[a:b].tolist() for a, b in zip(trace.parent_start, trace.parent_start[1:], strict=False)]
    assert parents == [[], [0], [0], [1, 2], [], [0], [], []]
    assert trace.hidden["output_tokens"].tolist() == [260, 35, 40, 1500, 30, 210, 120, 90]
    assert trace.hidden["tool_intent"].tolist() == [0, 1, 1, 0, 1, 0, 0, 0]
    assert trace.stages["invocation_index"].tolist() == [0, 0, 0, 0, 0, 1, 0, 0]
    assert trace.role_names == ("planner", "searcher", "writer", "assistant")
    assert trace.workflows["arrival_s"].tolist() == [0.0, 3.0, 4.0, 9.5]


def test_csv_and_parquet_are_read_alike(calls: pd.DataFrame, tmp_path: Path) -> None:
    csv, parquet = (read_trace(_write(calls, tmp_path, suffix)) for suffix in (".csv", ".parquet"))
    assert all(np.array_equal(a, b) for a, b in zip(csv[1:], parquet[1:], strict=True))


def test_an_episode_survives_being_written_and_replayed(
    maestro: FamilyWorkload, deployments: Deployments, service: np.ndarray, tmp_path: Path
) -> None:
    episode = maestro.episode(3, 2.0, 100.0, service)
    path = tmp_path / "episode.parquet"
    write_trace(episode, maestro, deployments.names, path)
    trace = TraceWorkload(path, deployments).trace
    assert np.array_equal(trace.stages["model"], episode.stages["model"])
    for column in ("prompt_tokens", "max_output_tokens", "ctx_prefix_tokens", "invocation_index"):
        assert np.array_equal(trace.stages[column], episode.stages[column]), column
    for column in ("output_tokens", "tool_gap_s", "tool_intent"):
        assert np.array_equal(trace.hidden[column], episode.hidden[column]), column


Change = Callable[[pd.DataFrame], pd.DataFrame]


def _cell(row: int, column: str, value: object) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype(object)
        frame.loc[row - 1, column] = value
        return frame

    return change


MISTAKES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "missing column": (lambda f: f.drop(columns="prompt_tokens"), ("prompt_tokens", "missing")),
    "renamed column": (lambda f: f.rename(columns={"deadline_s": "deadline"}), ("deadline_s", "Rename `deadline`")),
    "negative tokens": (_cell(3, "prompt_tokens", -5), ("row 3", "prompt_tokens", "-5")),
    "negative output": (_cell(4, "output_tokens", -1), ("row 4", "output_tokens", "-1")),
    "zero prompt": (_cell(1, "prompt_tokens", 0), ("row 1", "prompt_tokens")),
    "half a token": (_cell(2, "prompt_tokens", 10.5), ("row 2", "whole")),
    "words for numbers": (_cell(2, "output_tokens", "many"), ("row 2", "output_tokens", "many")),
    "NaN time": (_cell(5, "arrival_s", "nan"), ("row 5", "arrival_s", "nan")),
    "infinite time": (_cell(5, "arrival_s", "inf"), ("row 5", "arrival_s", "inf")),
    "unsorted time": (_cell(7, "arrival_s", 1.0), ("row 7", "arrival_s", "sort")),
    "negative gap": (_cell(3, "tool_gap_s", -0.1), ("row 3", "tool_gap_s")),
    "cycle": (_cell(1, "parent_ids", "write"), ("row 1", "parent_ids", "circle")),
    "its own parent": (_cell(7, "parent_ids", "a"), ("row 7", "circle")),
    "unknown parent": (_cell(3, "parent_ids", "plna"), ("row 3", "parent_ids", "plna")),
    "parent of another workflow": (_cell(7, "parent_ids", "plan"), ("row 7", "parent_ids", "w3")),
    "duplicate id": (_cell(6, "call_id", "a"), ("row 6", "call_id", "twice")),
    "blank id": (_cell(6, "call_id", ""), ("row 6", "call_id", "blank")),
    "separator in an id": (_cell(8, "call_id", "a|b"), ("row 8", "call_id")),
    "scattered workflow": (_cell(7, "workflow_id", "w1"), ("row 7", "workflow_id", "side by side")),
    "unknown class": (_cell(8, "class", "urgent"), ("row 8", "class", "interactive")),
    "deadline of zero": (_cell(8, "deadline_s", 0), ("row 8", "deadline_s")),
    "deadlines that differ": (_cell(6, "deadline_s", 61), ("row 6", "deadline_s", "agree")),
    "output above the limit": (_cell(7, "output_tokens", 5000), ("row 7", "output_tokens", "max_output_tokens")),
    "prefix above the prompt": (
        lambda f: f.assign(ctx_group="g", ctx_prefix_tokens=200),
        ("row 8", "ctx_prefix_tokens", "prompt_tokens"),
    ),
    "prefix without group": (lambda f: f.assign(sys_prefix_tokens=16), ("row 1", "sys_prefix_tokens", "sys_group")),
    "mistyped optional column": (lambda f: f.assign(Ctx_Group="g"), ("Ctx_Group", "ctx_group")),
    "no rows": (lambda f: f.iloc[:0], ("no calls",)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place_and_fix(mistake: str, calls: pd.DataFrame, tmp_path: Path) -> None:
    change, words = MISTAKES[mistake]
    path = _write(change(calls), tmp_path)
    with pytest.raises(MaestroError) as raised:
        read_trace(path)
    message = str(raised.value)
    assert "trace.csv" in message
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n"),
        ("binary.csv", b"\xff\xfe\x00\x01"),
        ("broken.parquet", b"PAR1 not really"),
        ("broken.jsonl", b'{"timestamp": 0\n'),
        ("notes.docx", b"hello"),
        ("other.csv", b"x,y\n1,2\n"),
        ("twice.csv", b"TIMESTAMP,TIMESTAMP,ContextTokens,GeneratedTokens\n1,1,1,1\n"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MaestroError, match=re.escape(name)):
        read_trace(path)


def test_a_file_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(MaestroError, match=r"nowhere\.csv"):
        read_trace("nowhere.csv")


def test_an_unknown_format_lists_those_that_exist(calls: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="mooncake"):
        read_trace(_write(calls, tmp_path), "moon")


def test_a_forced_format_says_what_the_file_lacks(calls: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match=r"ContextTokens|TIMESTAMP"):
        read_trace(_write(calls, tmp_path), "azure")


ODD_CELLS = st.one_of(
    st.none(),
    st.sampled_from(
        ["", "nan", "inf", "-1", "1e400", "0", "a|b", "|", " ", "True", "\u0661", "w1", "plan", "1e12", "x" * 300]
    ),
    st.integers(-(10**14), 10**14),
    st.floats(),
    st.text(max_size=8),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(sorted(COLUMNS)), ODD_CELLS), min_size=1, max_size=3),
    as_csv=st.booleans(),
)
def test_any_cells_are_either_read_or_refused_in_words(
    cells: list[tuple[int, str, object]], as_csv: bool, calls: pd.DataFrame, tmp_path: Path
) -> None:
    frame = calls.astype(object)
    for row, column, value in cells:
        if column not in frame.columns:
            frame[column] = COLUMNS[column].default if COLUMNS[column].kind != "flag" else 0
            frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
    try:
        path = _write(frame if as_csv else frame.astype(str), tmp_path, ".csv" if as_csv else ".parquet")
    except UnicodeEncodeError:
        return
    try:
        trace = read_trace(path)
    except MaestroError:
        return
    assert np.all(trace.stages["prompt_tokens"] >= 1)
    assert np.all(np.isfinite(trace.workflows["arrival_s"]))
    assert np.all(np.diff(trace.workflows["arrival_s"]) >= 0)


def test_the_documentation_describes_every_column_and_its_example_is_read(tmp_path: Path) -> None:
    text = DOCS.read_text()
    for name, column in COLUMNS.items():
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        cells = [cell.strip() for cell in line.split(" | ")]
        assert cells[1] == ("yes" if column.required else "no"), name
        assert (cells[2].strip("| ") == "yes") == column.per_workflow, name
    start = text.index("    workflow_id,")
    example = "\n".join(line.strip() for line in text[start:].split("\n\n")[0].splitlines())
    path = tmp_path / "example.csv"
    path.write_text(example)
    assert len(read_trace(path).workflows) == 2
