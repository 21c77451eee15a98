"""A process that works for another: it is silent, has one thread, and ends with the one it works for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from threadpoolctl import threadpool_limits

from maestro_gym.core.threads import VARIABLE

SETTINGS = {"MAESTRO_QUIET": "1", VARIABLE: "1"} | dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
"""Environment of a worker: there is one for every core, so threads of one would stand in the way of another."""

_works = False


def is_worker() -> bool:
    """Whether this process works for another, which speaks to the user in its place."""
    return _works or multiprocessing.parent_process() is not None


def become_worker() -> None:
    """Be silent, and keep to one thread: in what is loaded from now on, and in what is loaded already."""
    global _works
    if not _works:
        os.environ.update(SETTINGS)
        threadpool_limits(limits=1)
        _works = True


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, as a worker does: more would add in another order, and differ in the last bit."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    with threadpool_limits(limits=1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def become_child(lifeline: Connection) -> None:
    """Become the worker of a process on this machine, and end with it.

    Args:
        lifeline: The reading end of a pipe that nobody writes to. It ends when the other end is closed, which the
            system does for a process that was killed.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # on Ctrl-C end at once and without a stack trace: the parent speaks
    become_worker()
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)
