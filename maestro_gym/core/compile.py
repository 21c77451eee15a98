"""The one decorator that compiles: ``njit`` with the project's options and a safe cache.

Where compiled code is kept, and why it is never stale, is in ``code_cache.py``.

With ``NUMBA_DISABLE_JIT=1`` the same sources run interpreted, for the debugger.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
from numba.core.options import DefaultOptions

from maestro_gym.core.code_cache import CodeCache
from maestro_gym.core.compile_progress import tell_of_compiling
from maestro_gym.core.dispatcher import Dispatcher

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
"""Whether the sources run without the compiler."""

P = ParamSpec("P")
R = TypeVar("R")

# Packages whose compiled functions make arrays; elsewhere reference counts are off.
_ALLOCATING = ("workloads", "predictors")
_CACHED = ("maestro_gym", "tests")
_NUMBA_OPTIONS = vars(DefaultOptions)


def njit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of this project: cached, no fastmath, GIL released, IEEE division.

    Outside ``workloads`` and ``predictors`` it may not allocate: without numba's reference counts a
    look at one of the state's sixty arrays costs a load; with them it costs two atomic operations
    for each of the sixty (measured: an episode takes 25 times as long).

    Args:
        function: Plain Python over arrays; no allocation, dict, list or string inside.

    Returns:
        The numba dispatcher, or the function itself under ``NUMBA_DISABLE_JIT=1``.
    """
    return _compile(function, None, nrt=False)


def njit_inline(function: Callable[P, R]) -> Callable[P, R]:
    """Like `njit`, for one of many small functions with one caller: it is compiled as a part of its caller.

    A compiled function costs a tenth of a second to compile, however small it is; a hundred of them cost ten.
    """
    return _compile(function, None, nrt=False, inline="always")


def njit_as(signature: object, *, allocates: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Like `njit`, for a function of one fixed type that Python calls.

    It is compiled (or read from the cache) when it is first called.

    Args:
        signature: numba signature; the only way to take first-class functions as arguments.
        allocates: The function makes arrays or handles.

    Returns:
        A decorator.
    """
    return lambda function: _compile(function, signature, nrt=allocates)


def compile_fresh(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a plain function without a cache on disk; what is compiled already stays as it is.

    For functions that a cache would serve stale: numba does not see edits to what a user's file calls, nor the arrays
    that a rule has frozen into it.
    """
    if hasattr(function, "py_func") or INTERPRETED:
        return function
    return numba.njit(nogil=True, error_model="numpy")(function)


def interpreted(function: Callable[P, R]) -> Callable[P, R]:
    """The plain Python of a compiled function, for a single call from Python that is not worth compiling it alone."""
    return getattr(function, "py_func", function)


def _closed_over(function: Callable[..., Any]) -> list[Any]:
    return [cell.cell_contents for cell in function.__closure__ or ()]


def _name_apart(function: Callable[..., Any]) -> None:
    """Give a closure a name of its own, made of what it closes over.

    Cached code is linked by name, and two closures of one factory that different processes compiled
    can bear the same one: loaded together, one rule would silently answer for the other.
    """
    cells = _closed_over(function)
    if cells:
        parts = [getattr(cell, "py_func", cell) for cell in cells]
        words = [
            f"{part.__module__}.{part.__qualname__}" if hasattr(part, "__qualname__") else repr(part) for part in parts
        ]
        digest = hashlib.sha256("|".join(words).encode()).hexdigest()[:12]
        function.__name__ += f"_{digest}"
        function.__qualname__ += f"_{digest}"


def _may_cache(function: Callable[..., Any]) -> bool:
    """Whether a cache on disk would stay true: only for the project's own sources, closed over their own kind."""
    own = function.__module__.partition(".")[0] in _CACHED
    return own and all(_is_cached(cell) for cell in _closed_over(function) if hasattr(cell, "py_func"))


def _is_taken(identity: str, function: Callable[..., Any]) -> bool:
    """Whether another function bears the identity, as two generated ones of one name may."""
    other = Dispatcher._memo.get(identity)
    return other is not None and other.py_func.__code__ != function.__code__


def _is_cached(dispatcher: Any) -> bool:  # noqa: ANN401 - numba's own object
    return isinstance(getattr(dispatcher, "_cache", None), CodeCache)


def _compile(
    function: Callable[P, R], signature: object, *, nrt: bool = False, inline: str = "never"
) -> Callable[P, R]:
    package = function.__module__.removeprefix("maestro_gym.").split(".")[0]
    _name_apart(function)
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "inline": inline}
    # The option is private to numba; without it everything works, slower.
    if not nrt and package not in _ALLOCATING and "_nrt" in _NUMBA_OPTIONS:
        options["_nrt"] = False
    if INTERPRETED:
        return function
    # The same in every process: numba names functions by it among the types of arguments, and parts what they need.
    identity = f"{function.__module__}.{function.__qualname__}:{function.__code__.co_firstlineno}"
    may_cache = _may_cache(function) and not _is_taken(identity, function)
    dispatcher: Any = Dispatcher(function, options, CodeCache(function) if may_cache else None)
    if may_cache:
        dispatcher._set_uuid(identity)
    dispatcher.fixed = signature
    return dispatcher


if not INTERPRETED:
    tell_of_compiling()
