"""Processes of a fleet: started in groups of their own, stopped without leftovers, never mistaken for others."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro_gym.config.live import load_fleet
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.fleet.processes import (
    ServerNote,
    group_alive,
    read_notes,
    start_server,
    stop_server,
    write_note,
)
from tests.real_backend.contract import HANG_S

SLEEPER = "import time\nwhile True: time.sleep(0.05)"
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)


def _start(folder: Path, code: str) -> ServerNote:
    return start_server(
        folder, url="http://127.0.0.1:1", node="n0", model="m", command=[sys.executable, "-c", code], env={}
    )


def _until(state: Callable[[], bool]) -> None:
    """Wait for a state, however busy the machine is; the deadline is only a guard against waiting for ever."""
    deadline = time.monotonic() + HANG_S
    while not state():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _logged(note: ServerNote) -> str:
    return Path(note.log).read_text(encoding="utf-8").partition("\n===")[2].partition("\n")[2]


def test_a_stopped_server_leaves_no_process_and_no_note(tmp_path: Path) -> None:
    note = _start(tmp_path, PARENT)
    assert note.alive
    assert read_notes(tmp_path) == {note.url: note}
    assert stop_server(tmp_path, note)
    assert not group_alive(note.pid)
    assert read_notes(tmp_path) == {}


def test_a_server_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    note = _start(tmp_path, STUBBORN)
    _until(lambda: "deaf" in _logged(note))
    assert not stop_server(tmp_path, note, grace_s=0.2)
    assert not group_alive(note.pid)


def test_a_server_that_ended_by_itself_is_not_alive(tmp_path: Path) -> None:
    note = _start(tmp_path, "pass")
    _until(lambda: not note.alive)
    assert stop_server(tmp_path, note)


def test_a_process_that_got_the_same_number_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True) as stranger:
        note = ServerNote("http://127.0.0.1:1", "n0", "m", stranger.pid, 1, str(tmp_path / "log"), [], 0.0)
        write_note(tmp_path, note)
        assert not note.alive
        stop_server(tmp_path, note)
        assert stranger.poll() is None
        stranger.kill()
    assert read_notes(tmp_path) == {}


def test_a_program_that_does_not_exist_is_one_paragraph(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="cannot be started"):
        start_server(tmp_path, url="u", node="n0", model="m", command=["no-such-vllm"], env={})


def test_damaged_notes_say_so(tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text("[{}]", encoding="utf-8")
    with pytest.raises(MaestroError, match="not a list of servers"):
        read_notes(tmp_path)


def test_the_fleet_file_names_a_free_place_for_each_server() -> None:
    ports = [engine.port for node in load_fleet("local_cpu").nodes for engine in node.engines]
    assert len(set(ports)) == len(ports)
