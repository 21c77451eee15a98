"""The error a user can mend."""

from __future__ import annotations


class MaestroError(Exception):
    """A mistake in what the user gave: a config, a trace, a name, an action, a file.

    The message is one paragraph that says what is wrong, where, and what to do. The command line
    prints it without a stack trace and exits with code 2.
    """


class ArgumentValueError(MaestroError, ValueError):
    """An argument has a value that it cannot have; libraries that fall back on a ValueError do."""


class ArgumentTypeError(MaestroError, TypeError):
    """There is no such argument, or it has the wrong type; libraries that fall back on a TypeError do."""
