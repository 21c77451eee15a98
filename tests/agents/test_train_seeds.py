"""Trainings of several seeds: each is the single run of its seed, wherever it runs and however it was stopped."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from maestro_gym.agents import train_seeds
from maestro_gym.agents.train import TrainResult, run_train
from maestro_gym.agents.train_seeds import run_train_seeds, seed_rows, seeds_of
from maestro_gym.cli.app import app
from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.workers import on_ray
from maestro_gym.evaluation.workers.choose import open_workers
from maestro_gym.evaluation.workers.processes import Processes
from tests.agents.test_train import SMALL

SEEDS = [0, 3]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The single runs."""
    folder = tmp_path_factory.mktemp("alone")
    for seed in SEEDS:
        run_train("toy", tier="cluster", seed=seed, overrides=SMALL, out=folder / f"seed-{seed}", progress=False)
    return folder


def _together(folder: Path, **settings: Any) -> list[TrainResult]:  # noqa: ANN401
    asked = {"seeds": SEEDS, "console": Console(file=io.StringIO()), "progress": False, **settings}
    if "resume" not in settings:
        asked |= {"tier": "cluster", "overrides": SMALL, "out": folder}
    return run_train_seeds("toy", **asked)


def _assert_same(one: Path, other: Path) -> None:
    """All but what says when, by which words and how fast."""
    for seed in SEEDS:
        here, there = one / f"seed-{seed}", other / f"seed-{seed}"
        for name in ("policy.pt", "last/policy.pt"):
            weights = [torch.load(folder / name, weights_only=True) for folder in (here, there)]
            assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())
        for name in ("evaluations.csv", "episodes.csv", "config.yaml"):
            assert (here / name).read_bytes() == (there / name).read_bytes(), name
        ends = [json.loads((folder / "run.json").read_text()) for folder in (here, there)]
        assert [(end["state"], end["steps"], end["validation"]) for end in ends[:1]] == [
            (end["state"], end["steps"], end["validation"]) for end in ends[1:]
        ]
    assert not list(one.glob("*.part"))


def test_seeds_in_processes_are_the_single_runs_also_in_two_parts(alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    with Processes(2) as workers:
        stopped = _together(folder, workers=workers, stop_at_steps=128)
    assert [result.steps for result in stopped] == [128, 128]
    assert json.loads((folder / "run.json").read_text())["state"] == "stopped"
    with Processes(2) as workers:
        results = _together(folder, resume=folder, seeds=(), workers=workers)
    assert seeds_of(folder) == SEEDS
    assert json.loads((folder / "run.json").read_text())["state"] == "finished"
    _assert_same(folder, alone)
    assert [row["seed"] for row in seed_rows(results)] == SEEDS


def test_a_seed_that_was_killed_before_its_first_checkpoint_begins_anew(alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    _together(folder, seeds=SEEDS[:1])
    # What a kill leaves of the second: its folder and settings, and the word that it runs.
    begun = folder / f"seed-{SEEDS[1]}"
    begun.mkdir()
    (begun / "config.yaml").write_bytes((alone / begun.name / "config.yaml").read_bytes())
    (begun / "run.json").write_text(json.dumps({"seed": SEEDS[1], "state": "running"}))
    before = (folder / f"seed-{SEEDS[0]}" / "run.json").read_bytes()
    results = _together(folder, resume=folder, seeds=SEEDS)
    _assert_same(folder, alone)
    assert (folder / f"seed-{SEEDS[0]}" / "run.json").read_bytes() == before  # what is finished is read
    assert [result.steps for result in results] == [256, 256]


def test_a_worker_that_does_not_see_the_folder_sends_its_own(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(Processes):
        """Not a kind of which it is known that it sees the folder."""

    monkeypatch.setattr(train_seeds, "Processes", type("Other", (Processes,), {}))
    monkeypatch.setattr(train_seeds, "_leave_token", lambda folder: "the word of another machine")
    folder = tmp_path / "sent"
    with Elsewhere(1) as workers:
        _together(folder, workers=workers, stop_at_steps=128)
        assert (folder / "seed-3" / "checkpoint" / "learner.pt").is_file()
        results = _together(folder, resume=folder, workers=workers)
    _assert_same(folder, alone)
    assert [result.folder for result in results] == [folder / f"seed-{seed}" for seed in SEEDS]


def test_progress_counts_the_decisions_of_all_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _together(tmp_path / "run", seeds=[0, 1], progress=True)
    assert "learning: 512 of 512 decisions" in capsys.readouterr().err


def test_what_makes_no_sense_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for words, message in (
        (["--seeds", "0-1", "--seed", "3"], "cannot stand side by side"),
        (["--jobs", "2"], "name them by --seeds"),
        (["--on", "ray"], "name them by --seeds"),
        (["--seeds", "4,4"], "4, 4 repeat"),
    ):
        result = CliRunner().invoke(app, ["train", "-s", "toy", "--out", str(tmp_path / "run"), *words])
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "run").exists()
    with pytest.raises(MaestroError, match=re.escape("holds no trainings of several seeds")):
        _together(tmp_path, resume=tmp_path)


@pytest.fixture
def address() -> Iterator[str]:
    """Two nodes of one core each, on this machine."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'maestro-gym[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (on_ray.SILENCE | on_ray.OWN_CLUSTER).items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 100 << 20}
        cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
        cluster.add_node(**node)
        yield cluster.address
        cluster.shutdown()


@pytest.mark.slow
def test_two_nodes_of_ray_train_what_one_process_trains(alone: Path, address: str, tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    with open_workers(address) as workers:
        assert workers.width == 2
        _together(folder, workers=workers, stop_at_steps=128)
    with open_workers(address) as workers:
        _together(folder, resume=folder, workers=workers)
    _assert_same(folder, alone)
