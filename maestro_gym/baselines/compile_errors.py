"""What the compiler has against a user's function, in one paragraph with the line."""

from __future__ import annotations

import inspect
import linecache
import re
from collections.abc import Callable
from typing import Any

from numba import types
from numba.core.errors import NumbaError, UnsupportedBytecodeError

from maestro_gym.core.errors import MaestroError

_PLACES = re.compile(r'(?:File "(?P<file>[^"]+)", line (?P<line>\d+)| at (?P<at>\S+) \((?P<in>\d+)\))')
_FRAMING = ("Failed in nopython", "During:", 'File "', "- Resolution failure", "- Of which", "There are ", ">>>", "*")
_MOST_CHARACTERS = 240


def compile_now(function: Callable[..., Any], kind: types.FunctionType, where: str) -> None:
    """Compile a function of a user's file, so that what is wrong with it is said before anything runs.

    Args:
        function: Compiled lazily; a plain function, which runs interpreted, is left alone.
        kind: The type it must have.
        where: What errors call it.

    Raises:
        MaestroError: numba cannot compile it, or it returns something else.
    """
    dispatcher: Any = function
    if not hasattr(dispatcher, "py_func"):
        return
    try:
        dispatcher.compile(kind.signature.args)
    except (NumbaError, UnsupportedBytecodeError, KeyError) as error:
        raise MaestroError(
            f"{where} cannot be compiled{_line_of(error, dispatcher.py_func)}: {_reason(error)}. A rule is compiled by "
            "numba: it reads the view, numbers and arrays, and calls functions of maestro_gym.scheduling and its own. "
            "Code that needs more (torch, SB3, lists of objects) is an agent: a class with tier and act(observation, "
            "mask), see docs/own_agents.md."
        ) from None
    returned = dispatcher.overloads[kind.signature.args].signature.return_type
    wanted = kind.signature.return_type
    if not isinstance(returned, types.Number | types.Boolean) or (
        isinstance(wanted, types.Integer) and isinstance(returned, types.Float)
    ):
        raise MaestroError(
            f"{where} returns {returned}; it must return {'a number' if wanted == types.float64 else 'an integer'}."
        )


def _reason(error: Exception) -> str:
    """The first sentence of numba's that says what is wrong."""
    if isinstance(error, KeyError):
        return f"there is no field called {error}"
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(_FRAMING)]
    reason = telling[0] if telling else type(error).__name__
    return reason[:_MOST_CHARACTERS].rstrip(". ")


def _line_of(error: Exception, function: Callable[..., Any]) -> str:
    """Where in the user's file it is, in words; the last place that numba names there."""
    file = inspect.getsourcefile(function) or ""
    number = _named_line(error, file) or _field_line(error, function)
    if number is None:
        return f" ({file}, line {function.__code__.co_firstlineno})"
    text = linecache.getline(file, number).strip()
    return f" ({file}, line {number}: `{text}`)"


def _named_line(error: Exception, file: str) -> int | None:
    loc: Any = getattr(error, "loc", None)
    if loc is not None and loc.filename == file:
        return int(loc.line)
    named = [(m["file"] or m["at"], int(m["line"] or m["in"])) for m in _PLACES.finditer(str(error))]
    own = [number for name, number in named if name and file.endswith(name.lstrip("./"))]
    if not own and (raised := re.search(r"Raised from \S+ \((\d+)\)", str(error))):
        own = [int(raised[1])]
    return own[-1] if own else None


def _field_line(error: Exception, function: Callable[..., Any]) -> int | None:
    """The line that reads a field or a name which does not exist, where numba names none."""
    name = re.search(r"'(\w+)'", str(error))
    lines, first = inspect.getsourcelines(function)
    for offset, line in enumerate(lines):
        if name is not None and re.search(rf"\b{name[1]}\b", line):
            return first + offset
    return None
