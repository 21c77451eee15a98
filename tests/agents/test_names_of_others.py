"""The names in a scenario from elsewhere, through the verbs that make files of them."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from maestro_gym.agents.run_folder import default_folder
from maestro_gym.cli.app import app
from maestro_gym.config import load_scenario

SCENARIO = """
extends: toy
name: "../../../ESCAPED/<script>"
horizon_s: 20
drain_s: 60
models:
  - {name: "=HYPERLINK(1)", architecture: Llama-3.1-8B, size_class: small, popularity: 0.6}
  - {name: "a\\"b<script>", architecture: Qwen2.5-14B, size_class: medium, popularity: 0.25}
  - {name: large, architecture: Qwen2.5-32B, size_class: large, popularity: 0.15}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


def test_a_comparison_stays_in_its_folder_and_its_table_runs_nothing(scenario: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "=cmd.yaml"
    numbers.write_text("family: shaped\nformat: 1\nnumbers: {}\n", encoding="utf-8")
    before = set(tmp_path.parent.iterdir())
    words = [
        "compare",
        "-s",
        str(scenario),
        "-p",
        f"fcfs,{numbers}",
        "--seeds",
        "0",
        "-o",
        str(tmp_path / "a/b/run"),
        "-j",
        "1",
    ]
    result = CliRunner(env={"MAESTRO_QUIET": "1"}).invoke(app, words)
    assert result.exit_code == 0, result.output
    assert set(tmp_path.parent.iterdir()) == before
    assert {path.name for path in tmp_path.iterdir()} == {"a", "theirs.yaml", "=cmd.yaml"}
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["run"]
    table = pd.read_csv(tmp_path / "a/b/run/results.csv")
    assert set(table["policy"]) == {"fcfs", "'=cmd"}
    cells = [cell for column in table for cell in table[column] if isinstance(cell, str)]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_a_training_stays_below_runs(scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = default_folder(load_scenario(str(scenario)))
    assert folder.parent == Path("runs/train")
