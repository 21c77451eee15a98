"""Where compiled code is kept on disk, and when it is still true.

numba's own cache does not see edits to functions in *other* files that a compiled function calls. Here the folder of a
module's compiled code carries a hash of every source of this project that the module imports, directly or not: compiled
code can only see what its module imports, so stale machine code is never loaded, and an edit elsewhere costs nothing.
Paths of the checkout play no part, so that a second checkout of the same sources finds the code of the first.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import _CacheLocator

_ROOT = Path(__file__).parents[1]
_IMPORT = re.compile(
    r"^\s*(?:from\s+(maestro_gym[\w.]*)\s+import\s+(\([^)]*\)|[^\n]*)|import\s+(maestro_gym[\w.]*))", re.M
)
_WORD = re.compile(r"\w+")


@cache
def _content(file: Path) -> bytes:
    return file.read_bytes()


def _file_of(module: str) -> Path | None:
    """The file of a module of this project, None where there is none."""
    stem = _ROOT.parent.joinpath(*module.split("."))
    for file in (stem.with_suffix(".py"), stem / "__init__.py"):
        if file.is_file():
            return file
    return None


@cache
def _imports(file: Path) -> tuple[Path, ...]:
    """Files of this project that a file imports, wherever in it."""
    found: dict[Path, None] = {}
    for package, names, plain in _IMPORT.findall(_content(file).decode()):
        modules = [plain or package, *(f"{package}.{name}" for name in _WORD.findall(names))]
        found |= {path: None for module in modules if (path := _file_of(module)) is not None}
    return tuple(found)


@cache
def _digest(files: tuple[Path, ...]) -> str:
    """Hash of files, and of every file of this project that they import, directly or not."""
    seen, waiting = set(files), list(files)
    while waiting:
        for file in _imports(waiting.pop()):
            if file not in seen:
                seen.add(file)
                waiting.append(file)
    digest = hashlib.sha256(numba.__version__.encode())
    for file in sorted(seen):
        place = file.relative_to(_ROOT).as_posix() if file.is_relative_to(_ROOT) else file.name
        digest.update(place.encode() + _content(file))
    return digest.hexdigest()[:16]


def cache_root() -> Path:
    """``$MAESTRO_CACHE_DIR``, or a folder of the user's cache folder."""
    base = os.environ.get("MAESTRO_CACHE_DIR")
    return Path(base) if base else Path.home() / ".cache" / "maestro-gym"


def cache_dir(name: str) -> Path:
    """Folder of what was made by one part of the project at its present sources.

    Args:
        name: A module (``sim.steps``) or a whole package (``predictors``), without ``maestro_gym.``.

    Returns:
        A folder below `cache_root`; it may not exist yet.
    """
    folder = _ROOT.joinpath(*name.split("."))
    file = None if folder.is_dir() else _file_of(f"maestro_gym.{name}")
    files = tuple(sorted(folder.rglob("*.py"))) if file is None else (file,)
    return cache_root() / f"{name}-{_digest(files)}"


def code_dir(function: Callable[..., Any]) -> Path:
    """Folder of the compiled code of a function's module."""
    module = function.__module__.removeprefix("maestro_gym.")
    return cache_root() / f"{module}-{_digest((Path(inspect.getfile(function)).resolve(),))}"


class SourcesLocator(_CacheLocator):
    """Tells numba where a function's compiled code lies: in the `code_dir` of its module."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        """Find the place of a function.

        Args:
            py_func: The function.
            py_file: Its file.
        """
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        self._folder = code_dir(py_func)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> SourcesLocator:
        """As numba makes a locator."""
        return cls(py_func, py_file)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """What the code must have been compiled from."""
        return self._folder.name

    def get_disambiguator(self) -> str:
        """Tells functions of one name in one file apart."""
        return str(self._lineno)


LOCATOR = f"{SourcesLocator.__module__}.{SourcesLocator.__qualname__}"
"""What numba's option CACHE_LOCATOR_CLASSES names it by."""


def is_kept(function: Callable[..., Any]) -> bool:
    """Whether compiled code of a function is on disk."""
    name = function.__qualname__.replace("<", "").replace(">", "")  # as numba writes a closure's
    stem = f"{function.__module__.rpartition('.')[2]}.{name}-{function.__code__.co_firstlineno}"
    return any(code_dir(function).glob(f"{stem}.py{sys.version_info[0]}{sys.version_info[1]}*.nbi"))
