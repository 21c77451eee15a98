"""The event log of a live run: one JSON object a line, written before what it tells takes effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from maestro_gym.core.errors import MaestroError

VERSION = 1


class EventLog:
    """Appends events; every line is handed to the system at once, so that a killed controller loses none."""

    def __init__(self, path: Path, header: dict[str, Any] | None) -> None:
        """Open.

        Args:
            path: File to write; its folder is made.
            header: First line of a fresh log; None appends to an existing one.

        Raises:
            MaestroError: The file cannot be written, or is there already.
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
            event: Its kind; docs/live.md lists them.
            time_s: On the run's clock.
            details: Numbers, strings and lists.
        """
        self._file.write(json.dumps({"event": event, "time_s": round(time_s, 6)} | details) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _end_at_a_line(path: Path) -> None:
    """Cut off what a crash left of a line."""
    with path.open("rb+") as stream:
        content = stream.read()
        stream.truncate(content.rfind(b"\n") + 1)


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Read a log; a line that a crash cut short ends it.

    Args:
        path: The file.

    Yields:
        Events in order, the header first.

    Raises:
        MaestroError: There is no such file, or it is no log of this version.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MaestroError(f"{path}: cannot be read ({error.strerror}); give the folder of a live run.") from None
    for number, line in enumerate(lines):
        try:
            event = json.loads(line)
        except ValueError:
            if number == len(lines) - 1 and number > 0:
                return
            raise MaestroError(f"{path}: line {number + 1} is not JSON; the log is damaged.") from None
        if number == 0 and event.get("version") != VERSION:
            raise MaestroError(f"{path}: not an event log of version {VERSION}; resume with the version that wrote it.")
        yield event
