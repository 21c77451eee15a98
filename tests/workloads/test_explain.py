"""`workload import --explain`: what a user sees of how a file was read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maestro_gym.cli.app import app
from maestro_gym.workloads.traces.explain import explain
from maestro_gym.workloads.traces.files import import_trace
from tests.workloads.foreign_files import FILES, write_rows


@pytest.mark.parametrize("name", FILES)
def test_every_format_shows_its_tokens_beside_the_cells_that_they_came_from(name: str, tmp_path: Path) -> None:
    read = import_trace(write_rows(FILES[name].rows, tmp_path / f"trace{FILES[name].suffix}"))
    assert read.format == name
    told = explain(read)
    by_field = {row["field"]: row for row in told.rows}
    for field in ("prompt_tokens", "output_tokens"):
        assert by_field[field]["unit"] == "tokens"
        cells = [cell for head, cell in by_field[field].items() if head.startswith("call ")]
        assert len(cells) == min(3, len(read.trace.stages))
        for cell in cells:
            value, _, source = cell.partition("  <-  ")
            assert value.isdecimal()
            assert " = " in source
    assert "np." not in str(told)
    assert any("deadline_s" in words for words in told.assumed)


def test_a_cell_is_shown_as_it_stands_with_its_unit(tmp_path: Path) -> None:
    read = import_trace(write_rows(FILES["mooncake"].rows, tmp_path / "trace.jsonl"))
    told = explain(read, 2)
    arrival = next(row for row in told.rows if row["field"] == "arrival_s")
    assert arrival == {
        "field": "arrival_s",
        "unit": "s",
        "call 1, row 1": "0  <-  timestamp = 0",
        "call 4, row 4": "0.03  <-  timestamp = 30",
    }
    assert (
        told.assumed[0]
        == "timestamp is in milliseconds, a block of hash_ids has 512 tokens (which agrees with input_length)"
    )


def _invoke(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["workload", "import", *words])
    return result.exit_code, result.stdout, result.stderr


def test_the_verb_names_the_format_and_explains_without_writing(tmp_path: Path) -> None:
    path = write_rows(FILES["bailian"].rows, tmp_path / "trace.jsonl")
    code, told, _ = _invoke(str(path), "--explain", "--json", str(tmp_path / "rows.json"))
    assert code == 0
    assert "bailian" in told
    assert "timestamp is in seconds" in told
    document = json.loads((tmp_path / "rows.json").read_text())
    assert document["rows"][0]["format"] == "bailian"
    assert document["explained"][0]["field"] == "arrival_s"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.json", "trace.jsonl"]


def test_the_verb_wants_a_place_to_write_to_and_never_the_trace_itself(tmp_path: Path) -> None:
    path = write_rows(FILES["requests"].rows, tmp_path / "trace.csv")
    before = path.read_bytes()
    assert "--explain" in _invoke(str(path))[2]
    assert "would be overwritten" in _invoke(str(path), "--out", str(path))[2]
    assert path.read_bytes() == before
