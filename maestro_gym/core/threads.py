"""Threads over which a large batch is stepped: plain ones, started when a batch first needs them.

Compiled steps release the GIL, so that plain threads run them side by side. An OpenMP pool in their place would share
its settings and its spinning with torch's in the same process: each of the two would slow the other down many times.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_number import whole_number

VARIABLE = "MAESTRO_NUM_THREADS"
"""Environment variable that sets the number of threads."""

_count: int | None = None
_pool: ThreadPoolExecutor | None = None


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """Threads of a large batch: what was set, else ``$MAESTRO_NUM_THREADS``, else every usable core.

    Raises:
        MaestroError: The variable holds no positive integer.
    """
    if _count is not None:
        return _count
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        return usable_cores()
    count = whole_number(asked)
    if not count:
        raise MaestroError(f"{VARIABLE}={asked!r} is no number of threads; set a positive integer, or leave it out.")
    return count


def set_thread_count(count: int | None) -> None:
    """Set the number of threads of large batches; results do not depend on it.

    Args:
        count: At least 1; None goes back to the default.

    Raises:
        MaestroError: It is smaller.
    """
    global _count
    if count is not None and count < 1:
        raise MaestroError(f"{count} threads cannot step a batch; pass at least 1.")
    _count = count
    _forget()


def run_split(work: Callable[[int, int], None], size: int) -> None:
    """Do a piece of work over the threads, the first part of it in the calling one.

    Args:
        work: Does entries [begin, end); it must release the GIL, and write nothing that another part reads.
        size: Number of entries.
    """
    parts = min(thread_count(), size)
    bounds = [size * part // parts for part in range(parts + 1)]
    if parts > 1:
        pool = _threads()
        waiting = [pool.submit(work, bounds[part], bounds[part + 1]) for part in range(1, parts)]
        work(0, bounds[1])
        for future in waiting:
            future.result()
    else:
        work(0, size)


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max(1, thread_count() - 1), thread_name_prefix="maestro-step")
    return _pool


def _forget() -> None:
    """Drop the threads: a forked process has none of its parent's."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
