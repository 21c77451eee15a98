"""The error a user can mend."""

from __future__ import annotations


class MaestroError(Exception):
    """A mistake in what the user gave: a config, a trace, a name, an action, a file.

    The message is one paragraph that says what is wrong, where, and what to do. The command line
    prints it without a stack trace and exits with code 2.
    """
