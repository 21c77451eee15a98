"""How processes end: what each signal, and each pipe that is cut, makes of a program that ends in order."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import signal, sys, time
from pathlib import Path
from maestro_gym.core.ending import end_in_order, exit_code, notes_of, outlive_pipes
from maestro_gym.core.run_folder import run_folder

signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in what a shell runs in the background
outlive_pipes()
end_in_order()
try:
    with run_folder(Path(sys.argv[1]), go_on="maestro-gym VERB --resume DIR") as folder:
        (folder / "begun").touch()
        for line in range(int(sys.argv[2])):
            print("line", line)
            print("line", line, file=sys.stderr)
        (folder / "waits").touch()
        while len(sys.argv) > 3:
            time.sleep(0.01)
        (folder / "done").touch()
except KeyboardInterrupt as error:
    print(type(error).__name__, *notes_of(error), flush=True)
    sys.exit(exit_code(error))
"""


def _start(folder: Path, *words: str, **settings: object) -> subprocess.Popen[str]:
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), *words], env=where, text=True, **pipes)


def _until_it_waits(folder: Path, process: subprocess.Popen[str]) -> None:
    while not (folder / "waits").exists():
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "Stopped"), (signal.SIGHUP, "Stopped")],
)
def test_a_signal_ends_a_run_in_order(tmp_path: Path, number: signal.Signals, name: str) -> None:
    process = _start(tmp_path / "run", "0", "wait")
    _until_it_waits(tmp_path / "run", process)
    process.send_signal(number)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert said == f"{name} go on with: maestro-gym VERB --resume DIR\n"
    left = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert left == ["begun", "waits"], "nobody owns the folder any more"


FINALISER = """
import signal, sys, time
from pathlib import Path
from maestro_gym.core.ending import end_in_order, exit_code, insisting

signal.signal(signal.SIGINT, signal.default_int_handler)
end_in_order()

class Slow:
    def __del__(self):
        Path(sys.argv[1]).touch()
        time.sleep(60)

try:
    with insisting():
        Slow()
        while True:
            time.sleep(0.01)
except KeyboardInterrupt as error:
    sys.exit(exit_code(error))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_meets_a_finaliser_is_not_lost(tmp_path: Path, number: signal.Signals) -> None:
    where = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", FINALISER, str(tmp_path / "inside")]
    process = subprocess.Popen(words, env=where, text=True, stderr=subprocess.PIPE)
    while not (tmp_path / "inside").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert said == ""


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    process = _start(tmp_path / "run", "0", "wait", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    _until_it_waits(tmp_path / "run", process)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("cut", ["stdout", "stderr", "both"])
def test_a_pipe_that_is_cut_stops_no_work(tmp_path: Path, cut: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    streams = {name: writing if cut in (name, "both") else subprocess.DEVNULL for name in ("stdout", "stderr")}
    process = _start(tmp_path / "run", "20000", **streams)
    os.close(writing)
    assert process.wait(timeout=120) == 0
    assert (tmp_path / "run" / "done").exists()
