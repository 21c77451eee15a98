"""Server processes of a fleet on this machine: how they start and end without leftovers, and the notes of both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.bounded_text import parse_json, read_bounded
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.file_names import file_name
from maestro_gym.core.whole_file import write_whole
from maestro_gym.real_backend.vllm.keys import hide_keys

STOP_S = 20.0
"""The longest time that a server may take to end after SIGTERM before it is killed [s]."""

_POLL_S = 0.05


@dataclass(frozen=True)
class ServerNote:
    """The note of a server process that was started.

    Attributes:
        url: The address of the server, which names it in the fleet file.
        node: The node that it runs on.
        model: The model that it serves.
        pid: The id of the process, which leads a group of its own.
        started_ticks: The kernel's start time of the process, which tells it from a reused pid; -1 if unknown.
        log: The file of its output.
        command: The words that started it.
        started_unix_s: The wall clock at its start.
        ready_after_s: The time until it answered; None before it did.
    """

    url: str
    node: str
    model: str
    pid: int
    started_ticks: int
    log: str
    command: list[str]
    started_unix_s: float
    ready_after_s: float | None = None

    @property
    def alive(self) -> bool:
        """Whether the process still runs; a zombie does not."""
        state, ticks = _process(self.pid)
        return state not in ("", "Z", "X") and (self.started_ticks < 0 or ticks == self.started_ticks)


def fleet_folder(fleet: LiveFleetConfig) -> Path:
    """Return the folder of the models, logs and notes of a fleet."""
    return Path("runs") / "fleets" / file_name(fleet.name)


def read_notes(folder: Path) -> dict[str, ServerNote]:
    """Read the notes of the servers that were started.

    Args:
        folder: The folder of the fleet, from ``fleet_folder``.

    Returns:
        The notes by address; empty when there are none.

    Raises:
        MaestroError: The file of notes is damaged.
    """
    path = _notes_path(folder)
    if not path.is_file():
        return {}
    try:
        return {item["url"]: ServerNote(**item) for item in parse_json(read_bounded(path))}
    except (ValueError, TypeError, KeyError):
        raise MaestroError(
            f"{path}: not a list of servers. Stop leftover servers by hand (`ps` shows `vllm serve`), then delete it."
        ) from None


def write_note(folder: Path, note: ServerNote) -> None:
    """Add a server to the notes of a fleet, in place of an older one at its address."""
    _write(folder, read_notes(folder) | {note.url: note})


def forget_note(folder: Path, url: str) -> None:
    """Take a server out of the notes of a fleet."""
    _write(folder, {key: note for key, note in read_notes(folder).items() if key != url})


def start_server(
    folder: Path,
    *,
    url: str,
    node: str,
    model: str,
    command: Sequence[str],
    env: dict[str, str],
    cores: Sequence[int] = (),
) -> ServerNote:
    """Start a server in a process group of its own with its output in a log, and note it.

    Args:
        folder: The folder of the fleet.
        url: The address of the server.
        node: The name of its node.
        model: The model that it serves.
        command: The program and its words.
        env: Environment variables beside those of this process.
        cores: The cores to pin it to; those that the machine lacks are left out, and an empty list pins nothing.

    Returns:
        The note of its process.

    Raises:
        MaestroError: The program cannot be started.
    """
    log = folder / "logs" / f"{file_name(node)}-{file_name(model)}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    usable = set(cores) & os.sched_getaffinity(0)
    try:
        with log.open("ab") as stream:
            stream.write(f"\n=== {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(command)}\n".encode())
            stream.flush()
            process = subprocess.Popen(
                list(command),
                stdout=stream,
                stderr=stream,
                stdin=subprocess.DEVNULL,
                env=os.environ | env,
                start_new_session=True,
            )
    except OSError as error:
        raise MaestroError(f"{command[0]}: cannot be started ({error.strerror}); see `launch` of the fleet.") from None
    if usable:
        os.sched_setaffinity(process.pid, usable)
    note = ServerNote(url, node, model, process.pid, _process(process.pid)[1], str(log), list(command), time.time())
    write_note(folder, note)
    return note


def stop_server(folder: Path, note: ServerNote, grace_s: float = STOP_S) -> bool:
    """End a server and every process of its group, and forget its note.

    Args:
        folder: The folder of the fleet.
        note: The note of the server's process.
        grace_s: The time from SIGTERM to SIGKILL.

    Returns:
        Whether the server ended by itself, without SIGKILL.
    """
    gently = True
    if note.alive:
        _signal(note.pid, signal.SIGCONT)
        _signal(note.pid, signal.SIGTERM)
        gently = _wait_gone(note.pid, grace_s)
    if group_alive(note.pid) and (note.alive or _leaderless(note.pid)):
        _signal(note.pid, signal.SIGKILL)
        _wait_gone(note.pid, grace_s)
    forget_note(folder, note.url)
    return gently


def group_alive(group: int) -> bool:
    """Say whether any process of a group still runs."""
    _reap(group)
    return any(state not in ("Z", "X") for state in _group_states(group))


def last_lines(note: ServerNote, count: int = 3) -> str:
    """Read the last lines of a server's log that say what went wrong.

    Args:
        note: The note of the server's process.
        count: The number of lines.

    Returns:
        The lines, joined to one.
    """
    try:
        lines = Path(note.log).read_text(encoding="utf-8", errors="replace").splitlines()[-400:]
    except OSError:
        return "no log"
    errors = [line for line in lines if "Error" in line or "error:" in line]
    return " | ".join(hide_keys(line).strip()[-200:] for line in (errors or lines)[-count:])


def _wait_gone(group: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while group_alive(group):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _leaderless(group: int) -> bool:
    """Say whether the leader of a group is gone, so that its number cannot belong to another process."""
    return _process(group)[0] in ("", "Z", "X")


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    """Collect a child that has ended; a server that another process started is collected by that one."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _process(pid: int) -> tuple[str, int]:
    """Return the state letter and the start time of a process; ("", -1) when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return "", -1
    return fields[0], int(fields[19])


def _group_states(group: int) -> list[str]:
    states = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            states.append(fields[0])
    return states


def _notes_path(folder: Path) -> Path:
    return folder / "servers.json"


def _write(folder: Path, notes: dict[str, ServerNote]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(_notes_path(folder), json.dumps([asdict(note) for note in notes.values()], indent=1) + "\n")
