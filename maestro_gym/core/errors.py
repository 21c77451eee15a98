"""The error a user can mend."""

from __future__ import annotations

_LONGEST_WORD = 1000
_LONGEST = 4000


def _paragraph(text: str) -> str:
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    line = " ".join(word if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]}..." for word in words)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


class MaestroError(Exception):
    """A mistake in what the user gave: a config, a trace, a name, an action, a file.

    The message is one paragraph that says what is wrong, where, and what to do. The command line
    prints it without a stack trace and exits with code 2. Whatever of a file it repeats stays on its one
    line, and is cut where it is long.
    """

    def __init__(self, message: str = "") -> None:
        """Say what is wrong.

        Args:
            message: One paragraph.
        """
        super().__init__(_paragraph(message))


class ArgumentValueError(MaestroError, ValueError):
    """An argument has a value that it cannot have; libraries that fall back on a ValueError do."""


class ArgumentTypeError(MaestroError, TypeError):
    """There is no such argument, or it has the wrong type; libraries that fall back on a TypeError do."""
