"""What state the run in a folder is in, as its files say, and what lies in a folder of runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from maestro_gym.core.run_folder import LEFT_BEHIND, OWNER_FILE

RUNNING, FINISHED, UNFINISHED = "running", "finished", "unfinished"

_RESULTS = ("results.json", "study.json", "validation.json", "reproduce.json", "explanation.md")
"""What verbs write once all else is there; those that note their state say so in ``run.json`` instead."""

_LAST_LINE_BYTES = 2**16
_DEEPEST = 4


class Run(NamedTuple):
    """A run in a folder.

    Attributes:
        folder: The folder.
        state: RUNNING (a process owns it), FINISHED or UNFINISHED (it was stopped, or killed).
        size_bytes: What its files take.
        written_s: When something in it was written last [s since 1970].
    """

    folder: Path
    state: str
    size_bytes: int
    written_s: float


def runs_in(place: Path) -> list[Run]:
    """Find the runs in a folder of runs, however deep they lie in it; links are not followed.

    Args:
        place: The folder; it need not exist.

    Returns:
        The runs, in the order of their paths.
    """
    return [Run(folder, state_of(folder), *size_and_time(folder)) for folder in sorted(_run_folders(place, 0))]


def _run_folders(place: Path, depth: int) -> Iterator[Path]:
    if not place.is_dir() or place.is_symlink() or depth > _DEEPEST:
        return
    if (place / OWNER_FILE).exists() or any(any(place.glob(pattern)) for pattern in LEFT_BEHIND):
        yield place
        return
    for inside in place.iterdir():
        yield from _run_folders(inside, depth + 1)


def state_of(folder: Path) -> str:
    """Tell the state of the run in a folder: RUNNING, FINISHED or UNFINISHED."""
    if any(_is_owned(owner) for owner in folder.rglob(OWNER_FILE)):
        return RUNNING
    if (folder / OWNER_FILE).exists():
        return UNFINISHED  # a kill leaves it behind
    noted = _noted_state(folder / "run.json")
    if noted is not None:
        return FINISHED if noted == "finished" else UNFINISHED
    if (folder / "events.jsonl").exists():
        return FINISHED if _last_event(folder / "events.jsonl") == "end" else UNFINISHED
    return FINISHED if any((folder / name).exists() for name in _RESULTS) else UNFINISHED


def _is_owned(owner: Path) -> bool:
    lock = FileLock(owner, timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True
    except OSError:
        return True  # who may not ask may not remove


def _noted_state(file: Path) -> str | None:
    with suppress(OSError, ValueError):
        about = json.loads(file.read_text(encoding="utf-8"))
        state = about.get("state") if isinstance(about, dict) else None
        return state if isinstance(state, str) else None
    return None


def _last_event(log: Path) -> str:
    """The kind of the last event of a log that is whole; empty when its last line is not."""
    with suppress(OSError, ValueError, LookupError, TypeError), log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _LAST_LINE_BYTES))
        return str(json.loads(stream.read().splitlines()[-1])["event"])
    return ""


def size_and_time(folder: Path) -> tuple[int, float]:
    """What the files of a folder take [bytes], and when one of them was written last [s since 1970]."""
    size_bytes, written_s = 0, 0.0
    for root, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError):
                status = os.lstat(os.path.join(root, file))
                size_bytes, written_s = size_bytes + status.st_size, max(written_s, status.st_mtime)
    return size_bytes, written_s
