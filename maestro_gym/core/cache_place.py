"""Where caches lie: a folder that this user alone can write, or a private one that ends with the process.

Compiled code is machine code, and it is loaded without a question. Whoever can write the folder of the cache, or
exchange a folder above it, can therefore run code as whoever uses it; such a folder is refused, and so is one that
cannot be written. A temporary folder then stands in, for this process and those that it starts.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

VARIABLE = "MAESTRO_CACHE_DIR"
"""Environment variable that names the folder."""


class Refusal(NamedTuple):
    """A folder that is not used.

    Attributes:
        folder: The folder.
        fault: What is wrong with it, as the rest of a sentence that begins with it.
        instead: The private folder in its place.
    """

    folder: Path
    fault: str
    instead: Path


_refusals: dict[Path, Refusal] = {}  # by the folder in its place


def cache_root() -> Path:
    """``$MAESTRO_CACHE_DIR``, or a folder of the user's cache folder; a private one where that may not be used."""
    named = os.environ.get(VARIABLE)
    if named:
        return _usable(Path(named).absolute())
    try:
        home = Path.home()
    except RuntimeError:
        return _usable(Path("~/.cache/maestro-gym"))  # there is no home: it is refused by this name
    return _usable(home / ".cache" / "maestro-gym")


def refused() -> Refusal | None:
    """What stands against the folder that was asked for; None where it is used."""
    return _refusals.get(cache_root())


@cache
def _tell_once(words: str) -> None:
    if os.environ.get("MAESTRO_QUIET", "0") in ("", "0"):
        print(words, file=sys.stderr, flush=True)


def tell_of_failure(error: OSError) -> None:
    """Say once that the cache takes no more, which costs time at the next start and nothing else."""
    _tell_once(f"The cache in {cache_root()} takes no more ({error.strerror}); the next run makes it anew.")


def is_own(status: os.stat_result) -> bool:
    """Whether only this user, or the system's administrator, can have written what a status is of."""
    return status.st_uid in (_user(), 0) and not _others_write(status)


@cache
def _usable(folder: Path) -> Path:
    fault = _fault(folder)
    if fault is None:
        return folder
    instead = Path(tempfile.mkdtemp(prefix="maestro-gym-"))
    atexit.register(_remove, instead, os.getpid())
    _refusals[instead] = Refusal(folder, fault, instead)
    os.environ[VARIABLE] = str(instead)  # what this process starts finds what this process compiled
    _tell_once(
        f"The cache folder {folder} {fault}; {instead} is used until this program ends. Name a folder of your own by "
        f"{VARIABLE}."
    )
    return instead


def _fault(folder: Path) -> str | None:
    """What is wrong with a folder, None for nothing; it is made where it is missing."""
    if not folder.is_absolute():
        return "cannot be found (this user has no home)"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in dict.fromkeys((folder, *folder.parents, folder.resolve(), *folder.resolve().parents)):
            fault = _open_to_others(place, is_parent=place not in (folder, folder.resolve()))
            if fault is not None:
                return fault
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"cannot be written ({error.strerror or error})"


def _open_to_others(place: Path, *, is_parent: bool) -> str | None:
    status = place.stat()
    where = f"lies in {place}, which" if is_parent else ""
    if status.st_uid not in (_user(), 0):
        return f"{where} belongs to another user ({status.st_uid})".strip()
    # In a folder with the sticky bit, such as /tmp, nobody can exchange what another made.
    if _others_write(status) and not (is_parent and status.st_mode & stat.S_ISVTX):
        return f"{where} can be written by others (mode {stat.S_IMODE(status.st_mode):o})".strip()
    return None


def _others_write(status: os.stat_result) -> bool:
    if os.name != "posix":
        return False
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_private_group(status.st_gid)


@cache
def _is_private_group(group: int) -> bool:
    """Whether a group is the one of this user alone that many systems make, whose members may write by default."""
    import grp
    import pwd

    try:
        name, members = pwd.getpwuid(_user()).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return members.gr_name == name and set(members.gr_mem) <= {name}


def _user() -> int:
    return os.geteuid() if os.name == "posix" else 0


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
