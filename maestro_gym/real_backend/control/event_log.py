"""The event log of a live run: one JSON object per line, written before the event takes effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from maestro_gym.core.bounded_text import parse_json, read_bounded
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.control.logged import VERSION, check_event

_MAX_BYTES = 2**30
"""Largest log that is read [bytes]: a stage leaves about 1,000."""

EVENTS_FILE = "events.jsonl"
"""Its name in the folder of a run."""


class EventLog:
    """Appends events; every line is handed to the operating system at once, so that a killed controller loses none."""

    def __init__(self, path: Path, header: dict[str, Any] | None) -> None:
        """Open the log.

        Args:
            path: The file to write; its folder is made if it is missing.
            header: The first line of a fresh log; None appends to an existing one.

        Raises:
            MaestroError: The file cannot be written, or a fresh log is there already.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if header is None:
                _end_at_a_line(path)
            self._file: TextIO = path.open("x" if header is not None else "a", encoding="utf-8", buffering=1)
        except FileExistsError:
            raise MaestroError(f"{path}: this run is there already; name another folder, or resume it.") from None
        except OSError as error:
            raise MaestroError(f"{path}: cannot be written ({error.strerror}); name a writable folder.") from None
        if header is not None:
            self.write("run", 0.0, version=VERSION, **header)

    def write(self, event: str, time_s: float, **details: Any) -> None:  # noqa: ANN401 - JSON values
        """Append an event.

        Args:
            event: The kind of the event; docs/live.md lists the kinds.
            time_s: The time on the run's clock.
            details: Further fields of the event: numbers, strings and lists.
        """
        self._file.write(json.dumps({"event": event, "time_s": round(time_s, 6)} | details) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _end_at_a_line(path: Path) -> None:
    """Cut off the last line if a crash left it incomplete."""
    with path.open("rb+") as stream:
        content = stream.read()
        stream.truncate(content.rfind(b"\n") + 1)


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Read a log, up to a last line that a crash cut short.

    Args:
        path: The file of the log.

    Yields:
        The events in their order, the header first.

    Raises:
        MaestroError: There is no such file, or it is not a log of this version.
    """
    try:
        lines = read_bounded(path, _MAX_BYTES).split("\n")
    except OSError as error:
        raise MaestroError(f"{path}: cannot be read ({error.strerror}); give the folder of a live run.") from None
    except ValueError as error:
        raise MaestroError(f"{path}: is no event log ({error}); give the folder of a live run.") from None
    lines = lines[:-1] if not lines[-1] else lines
    if not lines:
        raise MaestroError(f"{path}: is empty; give the folder of a live run.")
    for number, line in enumerate(lines):
        try:
            event = parse_json(line)
        except ValueError:
            if number == len(lines) - 1 and number > 0:
                return
            raise MaestroError(f"{path}: line {number + 1} is not JSON; the log is damaged.") from None
        yield check_event(event, first=number == 0, place=f"{path}: line {number + 1}")
