"""Twenty files as they were published: one call of each, worked out by hand from the file."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("public_traces", ROOT / "benchmarks" / "public_traces.py")
assert spec is not None
assert spec.loader is not None
public_traces = importlib.util.module_from_spec(spec)
sys.modules["public_traces"] = public_traces
spec.loader.exec_module(public_traces)


@pytest.mark.parametrize("name", public_traces.CHECKED)
def test_a_public_file_is_read_as_a_person_reads_it(name: str, traces_dir: Path) -> None:
    path = traces_dir / name
    if not path.is_file():
        pytest.skip(f"the folder of traces has no {name}")
    row, wrong = public_traces.checked_row(name, path)
    assert not wrong
    assert row in (ROOT / "docs" / "workloads.md").read_text(encoding="utf-8")


def test_the_table_has_twenty_files_of_more_than_eight_formats() -> None:
    page = (ROOT / "docs" / "workloads.md").read_text(encoding="utf-8")
    rows = page.partition(public_traces.BEGIN)[2].partition(public_traces.END)[0].strip().splitlines()[2:]
    assert len(rows) == len(public_traces.CHECKED) == 20
    assert len({re.split(r" \| ", row)[1] for row in rows}) > 8


def test_a_value_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "azure.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,4,4\n")
    monkeypatch.setitem(public_traces.CHECKED, "x", public_traces.Checked(1, {"prompt_tokens": 5}, "wrong"))
    assert public_traces.checked_row("x", path)[1] == ["x, 1: prompt_tokens is 4, by hand 5"]
