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
import pickle
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numba
from numba import types
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from maestro_gym.core.cache_place import cache_root, is_own, tell_of_failure

_ROOT = Path(__file__).parents[1]
_IMPORT = re.compile(
    r"^\s*(?:from\s+(maestro_gym[\w.]*)\s+import\s+(\([^)]*\)|[^\n]*)|import\s+(maestro_gym[\w.]*))", re.M
)
_WORD = re.compile(r"\w+")
_CHECKSUM_BYTES = hashlib.sha256().digest_size


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


def cache_dir(name: str) -> Path:
    """Folder of what was made by one part of the project at its present sources.

    Args:
        name: A module (``sim.steps``) or a whole package (``predictors``), without ``maestro_gym.``.

    Returns:
        A folder below `cache_place.cache_root`; it may not exist yet.
    """
    folder = _ROOT.joinpath(*name.split("."))
    file = None if folder.is_dir() else _file_of(f"maestro_gym.{name}")
    files = tuple(sorted(folder.rglob("*.py"))) if file is None else (file,)
    return cache_root() / f"{name}-{_digest(files)}"


def code_dir(function: Callable[..., Any]) -> Path:
    """Folder of the compiled code of a function's module."""
    module = function.__module__.removeprefix("maestro_gym.")
    return cache_root() / f"{module}-{_digest((Path(inspect.getfile(function)).resolve(),))}"


class Part(NamedTuple):
    """A function that only compiled code calls, as it is kept.

    Attributes:
        bitcode: LLVM's intermediate code.
        needs: What it calls: name of the dispatcher, types of arguments and answer, as of `Dispatcher.part`.
        fndesc: numba's description of it.
        environment: numba's constants of it.
        signature: Its types.
        reload_init: What must run before it is used.
    """

    bitcode: bytes
    needs: tuple[Any, ...]
    fndesc: Any
    environment: Any
    signature: Any
    reload_init: Any


class CodeCache:
    """Compiled code of one function on disk, which a second checkout of the same sources finds too.

    A file for each variant, named by a hash of all that tells variants apart, begun with a checksum of the rest and
    written at one stroke: processes that compile at the same time need not know of each other. numba's own cache
    numbers its files in an index, where two such processes can take each other's code for their own.
    """

    def __init__(self, py_func: Callable[..., Any]) -> None:
        """Name the folder; nothing is read."""
        self._py_func = py_func
        self._folder = code_dir(py_func)
        self._stem = f"{py_func.__qualname__.replace('<locals>.', '')}-{py_func.__code__.co_firstlineno}"

    @property
    def cache_path(self) -> Path:
        """The folder."""
        return self._folder

    def has_overload(self, sig: Any, target_context: Any) -> bool:  # noqa: ANN401 - numba's own objects
        """Whether there is machine code for a signature."""
        return self._file("entry", sig, target_context).is_file()

    def load_overload(self, sig: Any, target_context: Any) -> Any:  # noqa: ANN401 - numba's own objects
        """Machine code for a signature, None where there is none."""
        reduced = self._load(self._file("entry", sig, target_context))
        if reduced is None:
            return None
        target_context.refresh()
        return CompileResult._rebuild(target_context, *reduced)

    def save_overload(self, sig: Any, made: Any) -> None:  # noqa: ANN401 - numba's own objects
        """Keep machine code, unless it holds addresses of this process."""
        if not made.library.has_dynamic_globals and not made.lifted:
            self._save(self._file("entry", sig, made.target_context), made._reduce())

    def load_part(self, args: Any, return_type: Any, target_context: Any) -> Part | None:  # noqa: ANN401
        """Intermediate code for types of arguments, None where there is none."""
        return self._load(self._file("part", (args, return_type), target_context))

    def save_part(self, args: Any, return_type: Any, target_context: Any, part: Part) -> None:  # noqa: ANN401
        """Keep intermediate code."""
        self._save(self._file("part", (args, return_type), target_context), part)

    def _file(self, kind: str, sig: Any, target_context: Any) -> Path:  # noqa: ANN401 - numba's own objects
        key = self._index_key(_words(sig), target_context.codegen())
        return self._folder / f"{self._stem}.{kind}-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"

    def _index_key(self, sig: object, codegen: Any) -> tuple[Any, ...]:  # noqa: ANN401 - numba's own object
        """What tells compiled variants of the function apart: types, processor, interpreter, what it closes over.

        numba's own would pickle compiled functions that a closure holds, and with them the paths of their files.
        """
        held = dumps(_identity(self._py_func))
        return sig, codegen.magic_tuple(), sys.version_info[:2], hashlib.sha256(held).hexdigest()

    def _load(self, file: Path) -> Any:  # noqa: ANN401 - whatever was saved
        """What is in a file; None where there is none, it is cut short or changed, or others can have written it."""
        try:
            with file.open("rb") as stream:
                if not is_own(os.fstat(stream.fileno())):
                    return None
                checksum, content = stream.read(_CHECKSUM_BYTES), stream.read()
            return pickle.loads(content) if hashlib.sha256(content).digest() == checksum else None
        except Exception:
            return None

    def _save(self, file: Path, value: object) -> None:
        """Write all or nothing; a cache that cannot be written costs time and nothing else."""
        unfinished = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            content = dumps(value)
            with open(unfinished, "xb", opener=_readable_by_all) as stream:
                stream.write(hashlib.sha256(content).digest() + content)
            unfinished.replace(file)
        except OSError as error:
            tell_of_failure(error)
            with suppress(OSError):
                unfinished.unlink()


def _readable_by_all(path: str, flags: int) -> int:
    return os.open(path, flags, 0o644)


def _words(sig: Any) -> Any:  # noqa: ANN401 - numba's own objects
    """A signature in words that are the same in every process."""
    if isinstance(sig, tuple):
        return tuple(_words(part) for part in sig)
    if isinstance(sig, types.Dispatcher):
        return sig.dispatcher._uuid
    return str(sig)


def _identity(value: Any) -> Any:  # noqa: ANN401 - whatever a closure holds
    """A function by its sources, its name and what it closes over in turn; anything else is itself."""
    function = getattr(value, "py_func", value)
    if not inspect.isfunction(function):
        return value
    held = [_identity(cell.cell_contents) for cell in function.__closure__ or ()]
    return code_dir(function).name, function.__qualname__, held


def is_kept(module: str, function: str, kind: str = "") -> bool:
    """Whether compiled code of a function is on disk.

    Args:
        module: Its module, without ``maestro_gym.``.
        function: Its name; of closures, the name of the function that makes them.
        kind: ``entry`` or ``part``; empty for either.
    """
    return any(cache_dir(module).glob(f"{function}[-.]*{kind}-*.nbc"))
