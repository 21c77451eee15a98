"""Workers: each does one job at a time; a job whose worker dies is tried again on another."""

from __future__ import annotations

import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from maestro_gym.core.errors import MaestroError

J = TypeVar("J")
R = TypeVar("R")

RETRIES = 2
"""How often a job is tried again after its worker has died: a machine may fail; a job that fails three is at fault."""

_TERMINATED = 128 + signal.SIGTERM


class WorkerLostError(Exception):
    """A worker died under its job; the words say what is known of it."""


class Workers(ABC):
    """What jobs are handed to; a context, at whose end nothing works on."""

    def __init__(self) -> None:
        """Begin without a worker: the first job starts what it needs."""
        self._before: Any = None

    @property
    @abstractmethod
    def width(self) -> int:
        """Jobs that can be worked on at a time; it may change as machines come and go."""

    @abstractmethod
    def submit(self, work: Callable[[J], R], job: J) -> Future[Any]:
        """Hand a job to a free worker.

        Args:
            work: A function of a module.
            job: What it is called with.

        Returns:
            What `answer` reads.
        """

    @abstractmethod
    def answer(self, future: Future[Any]) -> Any:  # noqa: ANN401 - whatever the job returned
        """What a job that is done came to.

        Args:
            future: Of `submit`.

        Raises:
            WorkerLostError: Its worker died.
            Exception: Whatever the job raised.
        """

    @abstractmethod
    def close(self) -> None:
        """End the workers at once, whatever they work on."""

    def run(self, work: Callable[[J], R], jobs: Sequence[J], name_of: Callable[[J], str]) -> Iterator[tuple[int, R]]:
        """Do jobs, in any order.

        Args:
            work: A function of a module, which gives the same for the same job wherever it runs.
            jobs: What it is called with.
            name_of: What errors call a job.

        Yields:
            Number of the job, and what came of it.

        Raises:
            MaestroError: A job's workers died again and again.
        """
        waiting, lost = deque(range(len(jobs))), Counter[int]()
        running: dict[Future[Any], int] = {}
        while waiting or running:
            while waiting and len(running) < self.width:
                number = waiting.popleft()
                running[self.submit(work, jobs[number])] = number
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number = running.pop(future)
                try:
                    with naming(name_of, jobs[number]):
                        result = self.answer(future)
                except WorkerLostError as error:
                    lost[number] += 1
                    if lost[number] > RETRIES:
                        raise MaestroError(
                            f"{name_of(jobs[number])}: {lost[number]} workers died under it, one after the other "
                            f"({error}). Most often memory has run out: run fewer at a time, such as --jobs 1."
                        ) from error
                    words = f"{name_of(jobs[number])}: its worker died ({error}); it is tried again."
                    print(words, file=sys.stderr, flush=True)
                    waiting.appendleft(number)
                    continue
                yield number, result

    def end_on_sigterm(self) -> None:
        """From now on, let SIGTERM end this process in order, workers included; it would leave them to themselves.

        A handler of the caller's own stays.
        """
        main = threading.current_thread() is threading.main_thread()
        if main and self._before is None and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, _exit)

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers."""
        self.close()
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None


@contextmanager
def naming(name_of: Callable[[J], str], job: J) -> Iterator[None]:
    """Say of an unexpected error under which job it came up."""
    try:
        yield
    except (MaestroError, WorkerLostError):
        raise
    except Exception as error:
        error.add_note(f"while running {name_of(job)}")
        raise


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(_TERMINATED)
