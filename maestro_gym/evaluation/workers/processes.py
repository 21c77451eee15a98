"""Workers that are processes of this machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, TypeVar

from maestro_gym.core.worker_process import become_child, one_thread
from maestro_gym.evaluation.workers.workers import WorkerLostError, Workers, naming

J = TypeVar("J")
R = TypeVar("R")


@dataclass
class _Seat:
    """One process, and its last job. A pool of one process each: its end then tells which job it worked on."""

    pool: ProcessPoolExecutor
    future: Future[Any] | None = None

    @property
    def is_free(self) -> bool:
        return self.future is None or self.future.done()


class Processes(Workers):
    """Up to so many processes, started as jobs need them; a single job, or one at a time, runs in this process."""

    def __init__(self, count: int) -> None:
        """Start nothing yet.

        Args:
            count: Processes at most.
        """
        super().__init__()
        self._count = count
        self._seats: list[_Seat] = []
        self._context = multiprocessing.get_context("spawn")
        self._lifeline, self._held = self._context.Pipe(duplex=False)

    @property
    def width(self) -> int:
        """Processes at most."""
        return self._count

    def run(self, work: Callable[[J], R], jobs: Sequence[J], name_of: Callable[[J], str]) -> Iterator[tuple[int, R]]:
        """Do jobs; see `Workers.run`."""
        if min(self._count, len(jobs)) > 1:
            yield from super().run(work, jobs, name_of)
            return
        for number, job in enumerate(jobs):
            with one_thread(), naming(name_of, job):
                result = work(job)
            yield number, result

    def submit(self, work: Callable[[J], R], job: J) -> Future[Any]:
        """Hand a job to a free process."""
        self.end_on_sigterm()
        seat = next((seat for seat in self._seats if seat.is_free), None)
        if seat is None:
            seat = _Seat(self._pool())
            self._seats.append(seat)
        try:
            seat.future = seat.pool.submit(work, job)
        except BrokenProcessPool:  # under its last job, or idle
            seat.pool = self._pool()
            seat.future = seat.pool.submit(work, job)
        return seat.future

    def answer(self, future: Future[Any]) -> Any:  # noqa: ANN401 - whatever the job returned
        """What a job came to."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise WorkerLostError("its process was killed, or ended by itself") from error

    def close(self) -> None:
        """End the processes: each ends when the pipe does."""
        self._held.close()
        for seat in self._seats:
            seat.pool.shutdown(wait=False, cancel_futures=True)
        self._seats.clear()

    def _pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=self._context, initializer=become_child, initargs=(self._lifeline,))
