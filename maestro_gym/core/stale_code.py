"""Which folders of the cache hold compiled code of sources that no longer exist, and their removal.

A folder carries a hash of the sources that it was made from (`code_cache`), so every edit leaves the folder of before
behind. Checkouts share the cache. Each says which folders belong to its present sources; what belongs to no checkout
that is still there, and has not been written for a while, is old. Removing a folder too many costs compiling it again,
and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from maestro_gym.core.cache_place import cache_root
from maestro_gym.core.code_cache import cache_dir
from maestro_gym.core.run_state import size_and_time
from maestro_gym.core.whole_file import write_whole

GRACE_S = 7 * 86400.0
"""Code that was written since is never pruned by itself: its checkout may not have said yet that it is there [s]."""

EVERY_S = 86400.0
"""How often the cache is pruned by itself [s]."""

_NOTES = "checkouts"
_PRUNED = ".pruned"
_FOLDER = re.compile(r"(?P<module>[a-z][\w.]*)-[0-9a-f]{16}")
_PACKAGE = Path(__file__).resolve().parents[1]


class CacheFolder(NamedTuple):
    """A folder of the cache.

    Attributes:
        path: The folder.
        size_bytes: What its files take.
        written_s: When something in it was written last [s since 1970].
    """

    path: Path
    size_bytes: int
    written_s: float


def cache_folders() -> list[CacheFolder]:
    """The folders of compiled code and of fitted predictors, in the order of their names."""
    return [CacheFolder(path, *size_and_time(path)) for path in sorted(_named(cache_root()))]


def _named(root: Path) -> Iterator[Path]:
    for path in root.iterdir():
        if _FOLDER.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path


def note_checkout() -> None:
    """Say which folders of the cache belong to the present sources of this checkout.

    Raises:
        OSError: The cache cannot be written.
    """
    modules = {_FOLDER.fullmatch(path.name)["module"] for path in _named(cache_root())}  # type: ignore[index]
    names = sorted(name for module in modules for name in _present(module))
    note = {"package": str(_PACKAGE), "folders": names}
    place = cache_root() / _NOTES / f"{hashlib.sha256(str(_PACKAGE).encode()).hexdigest()[:16]}.json"
    place.parent.mkdir(mode=0o755, exist_ok=True)
    write_whole(place, json.dumps(note) + "\n")


def _present(module: str) -> set[str]:
    """The names of the folders of a module, or of a package, at the present sources; none where it is gone."""
    stem = _PACKAGE.joinpath(*module.split("."))
    if stem.with_suffix(".py").is_file():
        return {cache_dir(module).name}
    if not stem.is_dir():
        return set()
    # Code that stands in a package's own file is named by that file, what was made by the whole package by all of it.
    own = {_named_by_its_file(module)} if (stem / "__init__.py").is_file() else set()
    return own | {cache_dir(module).name}


def _named_by_its_file(package: str) -> str:
    digest = cache_dir(f"{package}.__init__").name.rpartition("-")[2]
    return f"{package}-{digest}"


def stale_folders(folders: Iterable[CacheFolder], older_than_s: float = GRACE_S) -> list[CacheFolder]:
    """Choose the folders that belong to the sources of no checkout any more.

    Args:
        folders: Of the cache.
        older_than_s: How long something must not have been written in them [s].

    Returns:
        Those folders; none of them is of this checkout, which `note_checkout` has told.
    """
    kept: set[str] = set()
    for file in (cache_root() / _NOTES).glob("*.json"):
        with suppress(OSError, ValueError, LookupError, TypeError):  # a damaged note keeps nothing
            note = json.loads(file.read_text(encoding="utf-8"))
            if Path(note["package"]).is_dir():
                kept.update(note["folders"])
    before_s = time.time() - older_than_s
    return [folder for folder in folders if folder.path.name not in kept and folder.written_s < before_s]


def remove_folders(folders: Iterable[CacheFolder]) -> None:
    """Remove folders of the cache, and the notes of checkouts that are gone."""
    for folder in folders:
        shutil.rmtree(folder.path, ignore_errors=True)
    for file in (cache_root() / _NOTES).glob("*.json"):
        with suppress(OSError, ValueError, LookupError, TypeError):
            if not Path(json.loads(file.read_text(encoding="utf-8"))["package"]).is_dir():
                file.unlink()


def prune_daily() -> None:
    """Remove old compiled code, unless that was done within `EVERY_S`; a cache that cannot be written stays."""
    with suppress(OSError):
        stamp = cache_root() / _PRUNED
        if stamp.exists() and 0.0 <= time.time() - stamp.stat().st_mtime < EVERY_S:
            return
        note_checkout()
        remove_folders(stale_folders(cache_folders()))
        stamp.touch()
