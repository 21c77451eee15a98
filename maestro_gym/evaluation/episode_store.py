"""Finished episodes of a sweep on disk, each as soon as it has ended, so that a killed sweep goes on.

SQLite does the writing: an episode is in the file whole or not at all, also after a power cut.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.kept_outcome import as_bytes, from_bytes
from maestro_gym.evaluation.worker import JobOutcome

STORE_FILE = "episodes.sqlite"

_RESULT_FILES = ("results.parquet", "results.json")
_SHOWN = 8
"""Differences that an error tells."""


class EpisodeStore:
    """The episodes of one sweep, by their place in its plan; a context that holds the file for itself."""

    def __init__(self, folder: Path, facts: Mapping[str, str], begun: Mapping[str, str], *, resume: bool) -> None:
        """Open the store of a run folder, or begin one.

        Args:
            folder: The run folder; it is made.
            facts: What the episodes depend on, by name.
            begun: What else the first session says of the sweep.
            resume: Whether a sweep that is there may go on.

        Raises:
            MaestroError: The folder cannot be made, holds an earlier run that may not go on, or one of other facts; or
                another process goes on with it now.
        """
        self._folder = folder
        path = folder / STORE_FILE
        self._refuse_earlier(path, resume=resume)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MaestroError(
                f"--out {folder}: cannot make the run folder ({error.strerror}); name another."
            ) from error
        try:
            self._file = sqlite3.connect(path, isolation_level=None, timeout=1.0)
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.execute("BEGIN EXCLUSIVE")
            self._file.execute("CREATE TABLE IF NOT EXISTS about (facts TEXT, begun TEXT)")
            self._file.execute("CREATE TABLE IF NOT EXISTS episodes (number INTEGER PRIMARY KEY, outcome BLOB)")
            row = self._file.execute("SELECT facts, begun FROM about").fetchone()
            if row is None:
                row = (json.dumps(dict(facts)), json.dumps(dict(begun)))
                self._file.execute("INSERT INTO about VALUES (?, ?)", row)
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            raise MaestroError(
                f"{path}: cannot be opened ({error}). Another process may be going on with this run; wait for it, or "
                "name another folder by --out."
            ) from error
        self.begun: dict[str, str] = json.loads(row[1])
        """What the first session said."""
        self._refuse_other(json.loads(row[0]), facts)

    def read(self) -> dict[int, JobOutcome]:
        """The episodes so far, by their place in the plan.

        Raises:
            MaestroError: An episode is damaged, or another version wrote it.
        """
        rows = self._file.execute("SELECT number, outcome FROM episodes")
        return {number: self._outcome(number, content) for number, content in rows}

    def _outcome(self, number: int, content: bytes) -> JobOutcome:
        try:
            return from_bytes(content)
        except ValueError as error:
            raise MaestroError(
                f"{self._folder / STORE_FILE}: episode {number} cannot be read ({error}): it is damaged, or another "
                "version wrote it. Name another folder by --out."
            ) from None

    def add(self, number: int, outcome: JobOutcome) -> None:
        """Write an episode; when this returns, it is on the disk.

        Args:
            number: Its place in the plan.
            outcome: What it came to.

        Raises:
            MaestroError: The disk does not take it.
        """
        try:
            self._file.execute("INSERT OR REPLACE INTO episodes VALUES (?, ?)", (number, as_bytes(outcome)))
        except sqlite3.Error as error:
            raise MaestroError(
                f"{self._folder / STORE_FILE}: cannot be written ({error}). Make room, and go on by adding --resume."
            ) from error

    def __enter__(self) -> Self:
        """It is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the file."""
        self._file.close()

    def _refuse_earlier(self, path: Path, *, resume: bool) -> None:
        if path.exists() and not resume:
            raise MaestroError(
                f"{self._folder} holds an earlier run. Go on with it by adding --resume, or name "
                "another folder by --out."
            )
        if not path.exists() and any((self._folder / name).exists() for name in _RESULT_FILES):
            raise MaestroError(
                f"{self._folder} holds the results of an earlier run and no {STORE_FILE} to go on from; name another "
                "folder by --out."
            )

    def _refuse_other(self, before: dict[str, str], now: Mapping[str, str]) -> None:
        names = [name for name in dict.fromkeys((*before, *now)) if before.get(name) != now.get(name)]
        if names:
            self._file.close()
            told = [_difference(name, before.get(name), now.get(name)) for name in names[:_SHOWN]]
            more = f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise MaestroError(
                f"--resume: the run in {self._folder} was begun otherwise: {'; '.join(told)}{more}. Ask for the "
                "same, or name another folder by --out."
            )


def read_finished(folder: Path) -> tuple[dict[str, str], list[JobOutcome]]:
    """Read the episodes of a sweep, and change nothing.

    Args:
        folder: The run folder.

    Returns:
        What the episodes depend on, and the episodes in the order of the plan.

    Raises:
        MaestroError: There is no store, another process writes it, or it is damaged.
    """
    path = folder / STORE_FILE
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)) as file:
            facts = json.loads(file.execute("SELECT facts FROM about").fetchone()[0])
            rows = file.execute("SELECT outcome FROM episodes ORDER BY number").fetchall()
        return facts, [from_bytes(content) for (content,) in rows]
    except sqlite3.Error as error:
        raise MaestroError(
            f"{path}: cannot be read ({error}). Another process may be going on with this run; wait for it, or give "
            "another folder."
        ) from None
    except (ValueError, TypeError) as error:
        raise MaestroError(f"{path}: cannot be read ({error}): it is damaged, or another version wrote it.") from None


def _difference(name: str, before: str | None, now: str | None) -> str:
    return f"{name} ({before or 'none'} there, {now or 'none'} here)"
