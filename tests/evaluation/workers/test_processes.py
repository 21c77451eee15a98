"""Workers that are processes: the same results as without, a lost one costs a retry, none outlives its parent."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.workers.choose import open_workers
from maestro_gym.evaluation.workers.workers import RETRIES
from tests.evaluation.workers.jobs import FOLDER, ONCE_KILLED, Deadly, mistaken, name_of, square
from tests.evaluation.workers.sweep import assert_equal, sweep

GUARD_S = 240.0
"""Only against hanging."""

PARENT = """
import signal
import sys
from maestro_gym.evaluation.workers.choose import open_workers
from tests.evaluation.workers.jobs import never_done

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in what a shell runs in the background
    with open_workers(jobs=2) as workers:
        list(workers.run(never_done, sys.argv[1:], str))
"""


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + GUARD_S
    while not holds():
        assert time.monotonic() < end, "hangs"
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A child that nobody has asked after is a zombie: it runs no more.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def _deadly(folder: Path, kills: int) -> list[Deadly]:
    return [Deadly(number, kills if number == 2 else 0, str(folder / f"{number}")) for number in range(5)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_jobs_come_with_their_number(tmp_path: Path, jobs: int) -> None:
    with open_workers(jobs=jobs) as workers:
        assert dict(workers.run(square, _deadly(tmp_path, 0), name_of)) == {0: 0, 1: 1, 2: 4, 3: 9, 4: 16}


def test_a_job_whose_worker_dies_is_done_by_another(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with open_workers(jobs=2) as workers:
        assert dict(workers.run(square, _deadly(tmp_path, RETRIES), name_of)) == {0: 0, 1: 1, 2: 4, 3: 9, 4: 16}
    assert capfd.readouterr().err.count("job 2: its worker died") == RETRIES


def test_a_job_that_kills_every_worker_is_named(tmp_path: Path) -> None:
    with open_workers(jobs=2) as workers, pytest.raises(MaestroError, match="job 2: 3 workers died"):
        list(workers.run(square, _deadly(tmp_path, 99), name_of))
    assert (tmp_path / "2").read_bytes() == b"xxx"


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_unexpected_error_names_its_job(jobs: int) -> None:
    with open_workers(jobs=jobs) as workers, pytest.raises(ZeroDivisionError) as caught:
        list(workers.run(mistaken, [7, 7], lambda job: f"job {job}"))
    assert "while running job 7" in caught.value.__notes__


@pytest.mark.parametrize("word", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path: Path, word: signal.Signals) -> None:
    marks = [tmp_path / "one", tmp_path / "two"]
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, str(script), *map(str, marks)], env=where, stderr=subprocess.DEVNULL)
    _until(lambda: all(mark.exists() and mark.read_text() for mark in marks))
    workers = [int(mark.read_text()) for mark in marks]
    assert all(map(_is_running, workers))
    parent.send_signal(word)
    _until(lambda: not any(map(_is_running, workers)))
    assert parent.wait(GUARD_S) != 0


def test_a_comparison_that_loses_a_worker_ends_with_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    sweep(tmp_path / "whole", jobs=1)
    sweep(tmp_path / "lost", jobs=2, runner=ONCE_KILLED)
    assert (tmp_path / "killed").exists()
    assert_equal(tmp_path / "whole", tmp_path / "lost")


def test_a_comparison_that_is_killed_goes_on_and_ends_with_the_same_files(tmp_path: Path) -> None:
    sweep(tmp_path / "whole", jobs=1)
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), FOLDER: str(tmp_path)}
    words = [sys.executable, "-m", "tests.evaluation.workers.sweep", str(tmp_path / "parts")]
    killed = subprocess.Popen(words, env=where, stderr=subprocess.DEVNULL)
    # Both workers hang in the third seed once every episode of the first two is on disk.
    waiting = [tmp_path / f"waiting-{name}" for name in ("fcfs", "maestro")]
    _until(lambda: all(mark.exists() and mark.read_text() for mark in waiting))
    killed.kill()
    killed.wait(GUARD_S)
    _until(lambda: not any(_is_running(int(mark.read_text())) for mark in waiting))
    with pytest.raises(MaestroError, match="holds an earlier run"):
        sweep(tmp_path / "parts", jobs=1)
    with pytest.raises(MaestroError, match=r"seeds \(0, 1, 2 there, 0, 1 here\)"):
        sweep(tmp_path / "parts", jobs=1, resume=True, seeds=[0, 1])
    with pytest.raises(MaestroError, match="arrival rate of toy"):
        sweep(tmp_path / "parts", jobs=1, resume=True, overrides=["horizon_s=60", "workload.load=0.3"])
    sweep(tmp_path / "parts", jobs=1, resume=True)
    assert_equal(tmp_path / "whole", tmp_path / "parts")


def test_unknown_workers_are_refused() -> None:
    with pytest.raises(MaestroError, match="--on slurm: there are no such workers"):
        open_workers("slurm")


def test_without_ray_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MaestroError, match=r"pip install 'maestro-gym\[ray\]'"):
        open_workers("ray")
