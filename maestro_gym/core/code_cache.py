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
from typing import Any, ClassVar

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.serialize import dumps

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


class _SourcesLocator(_CacheLocator):
    """Tells numba where a function's compiled code lies: in the `code_dir` of its module."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        self._folder = code_dir(py_func)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _SourcesLocator:
        """As numba makes a locator."""
        return cls(py_func, py_file)

    def get_cache_path(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - numba's has no body
        """The folder."""
        return str(self._folder)

    def get_source_stamp(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - numba's has no body
        """What the code must have been compiled from."""
        return self._folder.name

    def get_disambiguator(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - numba's has no body
        """Tells functions of one name in one file apart."""
        return str(self._lineno)


class _CodeFiles(CompileResultCacheImpl):
    _locator_classes: ClassVar[list[type]] = [_SourcesLocator]


class CodeCache(FunctionCache):
    """numba's cache of one function's compiled code, which a second checkout of the same sources finds too."""

    _impl_class = _CodeFiles

    def _index_key(self, sig: object, codegen: Any) -> tuple[Any, ...]:  # noqa: ANN401 - numba's own object
        """What tells compiled variants of the function apart: types, processor, and what it closes over.

        numba's own would pickle compiled functions that a closure holds, and with them the paths of their files.
        """
        held = dumps(_identity(self._py_func))
        return sig, codegen.magic_tuple(), hashlib.sha256(held).hexdigest()


def _identity(value: Any) -> Any:  # noqa: ANN401 - whatever a closure holds
    """A function by its sources, its name and what it closes over in turn; anything else is itself."""
    function = getattr(value, "py_func", value)
    if not inspect.isfunction(function):
        return value
    held = [_identity(cell.cell_contents) for cell in function.__closure__ or ()]
    return code_dir(function).name, function.__qualname__, held


def is_kept(module: str, function: str) -> bool:
    """Whether compiled code of a function is on disk.

    Args:
        module: Its module, without ``maestro_gym.``.
        function: Its name; of closures, the name of the function that makes them.
    """
    stem = f"{module.rpartition('.')[2]}.{function}"
    return any(cache_dir(module).glob(f"{stem}[-.]*.py{sys.version_info[0]}{sys.version_info[1]}*.nbi"))
