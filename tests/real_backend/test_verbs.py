"""The verbs for real servers, over stand-ins."""

import gzip
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner, Result

from maestro_gym.cli.app import app
from maestro_gym.config import GpuConfig
from maestro_gym.config.files import read_yaml
from maestro_gym.core.run_folder import run_folder
from tests.evaluation.trace_event_rules import violations
from tests.real_backend.conftest import fleet_of
from tests.real_backend.runs import SHORT
from tests.real_backend.stand_in import StandIn


def _invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def fleet_file(two_servers: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(fleet_of(two_servers).model_dump(mode="json")), encoding="utf-8")
    return path


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """End a fit early: the noise of a machine makes it long, and how good it is other tests tell."""
    monkeypatch.setattr("maestro_gym.real_backend.validation.calibrate_fleet._MOST_STEPS", 6)


def test_status_shows_every_server(fleet_file: Path, two_servers: list[StandIn], tmp_path: Path) -> None:
    two_servers[1].stop()
    result = _invoke("fleet", "status", "--fleet", fleet_file, "--probe", "--json", tmp_path / "status.json")
    assert result.exit_code == 0
    rows = json.loads((tmp_path / "status.json").read_text())["rows"]
    assert [row["residency"] for row in rows] == ["running", "down"]
    assert "priority" in rows[0]["can"]


@pytest.mark.usefixtures("few_steps")
def test_calibrate_writes_hardware_that_a_scenario_takes(fleet_file: Path, tmp_path: Path) -> None:
    hardware = tmp_path / "mine.yaml"
    result = _invoke("calibrate", "--fleet", fleet_file, "--repeats", 1, "--out", hardware)
    assert result.exit_code == 0, result.output
    assert GpuConfig.model_validate(read_yaml(hardware)).calibration is not None


def test_calibrate_takes_one_source_of_measurements(fleet_file: Path) -> None:
    result = _invoke("calibrate", "--fleet", fleet_file, "--gpu", "A100-80GB")
    assert result.exit_code == 2
    assert "do not go with it" in result.stderr
    assert _invoke("calibrate").exit_code == 2


def test_a_live_run_leaves_results_and_can_be_resumed(fleet_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = ("live", "--fleet", fleet_file, "-w", SHORT, "--load", 0.3, "--horizon", 2)
    traced = tmp_path / "trace.json"
    result = _invoke(*words, "-p", "edf", "--shadow", "fcfs", "--out", folder, "--perfetto", traced)
    assert result.exit_code == 0, result.output
    assert violations(json.loads(traced.read_text())) == []
    row = json.loads((folder / "results.json").read_text())
    assert row["unfinished"] == 0
    assert row["policy"] == "edf"
    assert pd.read_parquet(folder / "workflows.parquet")["finished"].all()
    log = folder / "events.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(lines[: len(lines) // 2]), encoding="utf-8")
    if shutil.which("chromium"):
        film = ("--video", tmp_path / "going.gif", "--video-seconds", 1)
        watched = _invoke("watch", "--run", folder, "--fleet", fleet_file, *film)
        assert watched.exit_code == 0, watched.output
        assert (tmp_path / "going.gif").stat().st_size > 10_000
    again = _invoke("live", "--fleet", fleet_file, "--resume", folder)
    assert again.exit_code == 0, again.output
    finished = [json.loads(line)["stage"] for line in log.read_text().splitlines() if '"finish"' in line]
    assert len(finished) == len(set(finished)) == row["stages"]
    replayed = _invoke("replay", folder, "--fleet", fleet_file, "--perfetto", tmp_path / "replayed.json.gz")
    assert replayed.exit_code == 0, replayed.output
    document = json.loads(gzip.decompress((tmp_path / "replayed.json.gz").read_bytes()))
    assert violations(document) == []
    assert sum(event["ph"] == "X" and event["cat"] == "stage" for event in document["traceEvents"]) == row["stages"]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_live_run_is_neither_written_over_nor_resumed_as_another(fleet_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = ("live", "--fleet", fleet_file, "-w", SHORT, "--load", 0.3)
    assert _invoke(*words, "--horizon", 1, "--out", folder).exit_code == 0
    before = _contents(folder)
    refused = _invoke(*words, "--horizon", 2, "--out", folder)
    assert refused.exit_code == 2
    assert "holds an earlier run (events.jsonl" in refused.stderr
    assert f"live --fleet {fleet_file} --resume {folder}" in refused.stderr
    assert _contents(folder) == before, "nothing is written before the check"
    with run_folder(folder, resume=True):
        owned = _invoke("live", "--fleet", fleet_file, "--resume", folder)
    assert owned.exit_code == 2
    assert f"is being written by process {os.getpid()} on" in owned.stderr
    mistaken = _invoke(*words, "--horizon", 2, "-p", "nobody", "--out", folder, "--overwrite")
    assert mistaken.exit_code == 2
    assert _contents(folder) == before, "a mistake costs no earlier run"
    other = yaml.safe_load((folder / "scenario.yaml").read_text(encoding="utf-8")) | {"horizon_s": 2.0}
    (folder / "scenario.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    before = _contents(folder)
    strange = _invoke("live", "--fleet", fleet_file, "--resume", folder)
    assert strange.exit_code == 2
    assert "was begun under another scenario" in strange.stderr
    assert _contents(folder) == before
    again = _invoke(*words, "--horizon", 2, "--out", folder, "--overwrite")
    assert again.exit_code == 0, again.output
    assert _contents(folder)["events.jsonl"] != before["events.jsonl"]


@pytest.mark.usefixtures("few_steps")
def test_a_validation_leaves_numbers_and_plots_and_a_verdict(fleet_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "validation"
    words = ("--fleet", fleet_file, "-w", SHORT, "--load", 0.3, "--horizon", 1.5, "--repeats", 1)
    result = _invoke("validate", *words, "-p", "fcfs,maestro", "--out", folder)
    assert result.exit_code == 0, result.output
    document = json.loads((folder / "validation.json").read_text())
    assert {row["policy"] for row in document["rows"]} == {"fcfs", "maestro"}
    assert document["order"]["pairs"] == 1
    assert document["run"]["unfinished"] == 0
    assert any("completion_mean_s" in sentence for sentence in document["verdict"])
    assert {path.name for path in (folder / "plots").iterdir()} == {"worlds.png", "workflows.png", "calibration.png"}
    for name in ("live-1", "live-2", "simulated"):
        assert (folder / name / "results.parquet").is_file()
    again = _invoke("validate", *words, "-p", "fcfs,maestro", "--out", folder)
    assert again.exit_code == 2
    assert "holds an earlier run" in again.stderr
