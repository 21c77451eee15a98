"""How a process ends: SIGTERM and SIGHUP end it as Ctrl-C does, in order, and a pipe that nobody reads does not.

What ends a process in order raises, so that whoever holds workers, files or servers lets go of them on the way out. A
`KeyboardInterrupt` is that of Ctrl-C; `Stopped` is the same for other signals. Words on how to go on travel with the
error, as its notes, to the one place that speaks to the user.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_UNHEARD = (errno.EPIPE, errno.EIO)
_AGAIN_S = 0.02
"""After which a signal that was lost is sent again [s]: the finaliser that lost it has mostly ended by then."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Stopped(KeyboardInterrupt):
    """A signal other than that of Ctrl-C asks the process to end.

    Attributes:
        signal: The signal.
    """

    def __init__(self, number: int) -> None:
        """Name the signal."""
        super().__init__(number)
        self.signal = signal.Signals(number)


def end_in_order() -> None:
    """From now on let SIGTERM and SIGHUP raise `Stopped`; what ignores them, such as nohup, is left in peace."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


@contextmanager
def insisting() -> Iterator[None]:
    """Let no signal that ends the process be lost.

    Python handles a signal between two instructions of whatever runs, be it a finaliser or what a C library calls back,
    and what is raised there is printed ("Exception ignored in") and forgotten. The signal is sent again then, until it
    meets code that it can end.
    """
    before = sys.unraisablehook

    def insist(lost: Any) -> None:  # noqa: ANN401 - sys.UnraisableHookArgs, a type for checkers alone
        error = lost.exc_value
        if not isinstance(error, KeyboardInterrupt) or sys.is_finalizing():
            before(lost)
            return
        number = error.signal if isinstance(error, Stopped) else signal.SIGINT
        again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()

    sys.unraisablehook = insist
    try:
        yield
    finally:
        sys.unraisablehook = before


def exit_code(error: KeyboardInterrupt) -> int:
    """The exit code of a process that a signal ended: 128 and its number, as shells have it."""
    return 128 + (error.signal if isinstance(error, Stopped) else signal.SIGINT)


def has_no_room(error: BaseException) -> bool:
    """Whether an error says that a disk, or the user's part of it, is full."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


@contextmanager
def go_on_by(words: str) -> Iterator[None]:
    """Let whatever ends the work early tell the user how to go on.

    Args:
        words: The command that goes on.
    """
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        error.add_note(f"go on with: {words}")
        raise


def notes_of(error: BaseException) -> list[str]:
    """Words on how to go on that travel with an error, the outermost last, each once."""
    return [note for note in dict.fromkeys(getattr(error, "__notes__", ())) if note.startswith("go on with: ")]


def outlive_pipes() -> None:
    """Let standard output and error lose what nobody reads: work goes on when the other end, say `head`, has gone."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream.buffer, io.BytesIO):
            stream.flush()
            heard: Any = _Heard(stream.fileno(), "w", closefd=False)
            by_line = stream.line_buffering or name == "stderr"
            own = io.TextIOWrapper(io.BufferedWriter(heard), stream.encoding, stream.errors, line_buffering=by_line)
            setattr(sys, name, own)


class _Heard(io.FileIO):
    """A stream that becomes the null device when its other end is gone."""

    def write(self, content: Any) -> int:  # noqa: ANN401 - any buffer
        try:
            return super().write(content)
        except OSError as error:
            if error.errno not in _UNHEARD:
                raise
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return len(content)
