import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from maestro_gym.cli.app import app
from maestro_gym.core.run_folder import run_folder
from maestro_gym.core.run_state import runs_in

OLD = "sim.steps-0123456789abcdef"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an old compiled function, a finished, a stopped and a running run, and an environment of vLLM."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("MAESTRO_CACHE_DIR", str(tmp_path / "cache"))
    for name, file in (
        (f"cache/{OLD}", "f.nbc"),
        ("runs/done", "results.json"),
        ("runs/stopped", "episodes.sqlite"),
        ("runs/mine", "thesis.tex"),
        (".venv-vllm/bin", "vllm"),
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / file).write_bytes(b"x" * 1_000_000)
    _age(tmp_path / "cache" / OLD / "f.nbc", days=1)
    return tmp_path


def _age(file: Path, days: float) -> None:
    then_s = time.time() - days * 86400
    os.utime(file, (then_s, then_s))


def _clean(*words: str) -> Result:
    return CliRunner().invoke(app, ["clean", *words])


def _rows(here: Path, *words: str) -> dict[str, dict[str, Any]]:
    result = _clean(*words, "--json", str(here / "clean.json"))
    assert result.exit_code == 0, result.output
    return {row["what"]: row for row in json.loads((here / "clean.json").read_text(encoding="utf-8"))["rows"]}


def _kept(here: Path) -> set[str]:
    places = (f"cache/{OLD}", "runs/done", "runs/stopped", "runs/mine", ".venv-vllm")
    return {place for place in places if (here / place).exists()}


ALL = {f"cache/{OLD}", "runs/done", "runs/stopped", "runs/mine", ".venv-vllm"}


def test_without_yes_nothing_is_removed_and_sizes_are_shown(here: Path) -> None:
    rows = _rows(here, "--finished", "--unfinished", "--vllm")
    assert _kept(here) == ALL
    assert {row["MB"] for row in rows.values()} == {1.0}
    assert {row["fate"] for row in rows.values()} == {"is removed"}
    assert len(rows) == 4
    assert "4.0 MB would be removed; --yes removes them." in _clean("--finished", "--unfinished", "--vllm").output


def test_by_itself_it_takes_old_code_alone(here: Path) -> None:
    rows = _rows(here, "--yes")
    assert _kept(here) == ALL - {f"cache/{OLD}"}
    assert rows["run runs/done"]["fate"] == "stays: finished; --finished removes it"
    assert rows["run runs/stopped"]["fate"] == "stays: unfinished; --unfinished removes it"
    assert rows["environment .venv-vllm"]["fate"] == "stays: --vllm removes it"


@pytest.mark.parametrize(
    ("word", "place"), [("--finished", "runs/done"), ("--unfinished", "runs/stopped"), ("--vllm", ".venv-vllm")]
)
def test_what_is_asked_for_goes(here: Path, word: str, place: str) -> None:
    assert "2.0 MB were removed." in _clean(word, "--yes").output
    assert _kept(here) == ALL - {place, f"cache/{OLD}"}


def test_a_run_that_is_owned_never_goes(here: Path) -> None:
    with run_folder(here / "runs" / "done", overwrite=True):
        rows = _rows(here, "--finished", "--unfinished", "--yes")
        assert rows["run runs/done"]["fate"] == "stays: a process owns it"
        assert "runs/done" in _kept(here)
        assert "runs/stopped" not in _kept(here)


def test_a_run_that_another_takes_between_the_look_and_the_removal_stays(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = runs_in(Path("runs"))
    monkeypatch.setattr("maestro_gym.cli.clean.runs_in", lambda _: found)
    with run_folder(here / "runs" / "done", overwrite=True):
        result = _clean("--finished", "--yes")
    assert result.exit_code == 2
    assert "is being written by process" in result.stderr
    assert "runs/done" in _kept(here)


def test_young_runs_stay_where_an_age_is_given(here: Path) -> None:
    _age(here / "runs" / "done" / "results.json", days=40)
    (here / "runs" / "new").mkdir()
    (here / "runs" / "new" / "results.json").write_text("{}", encoding="utf-8")
    rows = _rows(here, "--finished", "--older-than", "30", "--yes")
    assert "runs/done" not in _kept(here)
    assert rows["run runs/new"]["fate"] == "stays: finished; it is younger than --older-than"
    assert (here / "runs" / "new").is_dir()


def test_an_age_without_runs_is_refused(here: Path) -> None:
    result = _clean("--older-than", "3")
    assert result.exit_code == 2
    assert "give --finished or --unfinished" in result.stderr
    assert _kept(here) == ALL
