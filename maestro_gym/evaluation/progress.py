"""How far a long piece of work is, on standard error: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_EVERY_S = 5.0
"""Time between two plain lines, at least."""


class WorkProgress:
    """Counts what is done of a known total, and shows it; a context that ends with the work.

    Standard output is left to what is piped on.
    """

    def __init__(
        self,
        title: str,
        unit: str,
        total: int,
        *,
        done: int = 0,
        console: Console | None = None,
        line_every_s: float = LINE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe the work. Its speed is counted from the first update on: what comes before includes preparations.

        Args:
            title: What is done, such as ``learning``.
            unit: What is counted, in the plural.
            total: How much of it there is.
            done: How much of it an earlier session has done.
            console: Where to show it; None takes standard error.
            line_every_s: Time between two plain lines, at least [s].
            clock: Tells the time [s].
        """
        self._title, self._unit, self._total = title, unit, total
        self._done, self._note = done, ""
        self._clock, self._line_every_s = clock, line_every_s
        self._begin: tuple[float, int] | None = None  # time of the first update, and how much was done by then
        self._next_line_s = clock()
        self._console = console or Console(stderr=True)
        self._bar = self._task = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
                TextColumn("{task.fields[news]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task(title, total=total, completed=done, unit=unit, news="")

    def __enter__(self) -> Self:
        """Show it."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back; also after an error."""
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int | None = None, *, note: str | None = None) -> None:
        """Tell what has changed.

        Args:
            done: How much is done in all.
            note: News to stand beside the count until others come.
        """
        self._note = self._note if note is None else note
        if done is not None:
            self._done = done
            self._begin = self._begin or (self._clock(), done)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, news=_joined(self._speed(), self._note))
        elif done is not None and (self._clock() >= self._next_line_s or done >= self._total):
            count = f"{self._title}: {done:,} of {self._total:,} {self._unit}"
            self._print(_joined(count, self._speed(), self._note, self._time_left()))

    def tell(self, words: str) -> None:
        """Say what goes on while nothing is counted.

        Args:
            words: Such as ``validating``.
        """
        if self._bar is not None:
            self.update(note=words)
        else:
            self._print(f"{self._title}: {words}")

    def _print(self, line: str) -> None:
        self._next_line_s = self._clock() + self._line_every_s
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _per_s(self) -> float:
        if self._begin is None:
            return 0.0
        begin_s, begun_with = self._begin
        return (self._done - begun_with) / max(self._clock() - begin_s, 1e-9)

    def _speed(self) -> str:
        speed = self._per_s()
        return f"{speed:,.{0 if speed >= 10 else 2}f} {self._unit}/s" if speed > 0 else ""

    def _time_left(self) -> str:
        left, speed = self._total - self._done, self._per_s()
        if left <= 0 or speed <= 0:
            return ""
        minutes, seconds = divmod(round(left / speed), 60)
        return f"{minutes}:{seconds:02d} left"


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
