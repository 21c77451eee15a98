"""A circuit breaker: after failures in a row a server is left alone for a while, then tried once."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Whether calls to one server may go out.

    Attributes:
        failures: In a row.
    """

    def __init__(self, failures: int, open_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start closed.

        Args:
            failures: In a row, after which it opens.
            open_s: Until one call is let through again.
            clock: Seconds, monotonic.
        """
        self.failures = 0
        self._most, self._open_s, self._clock = failures, open_s, clock
        self._opened_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the server has failed so often that it counts as down."""
        return self._opened_s is not None

    def allows(self) -> bool:
        """Whether a call may go out now; while open, one each ``open_s``."""
        if self._opened_s is None:
            return True
        if self._clock() - self._opened_s < self._open_s:
            return False
        self._opened_s = self._clock()
        return True

    def succeeded(self) -> None:
        """A call came back: close."""
        self.failures = 0
        self._opened_s = None

    def failed(self) -> None:
        """A call failed: count it, open when there were too many."""
        self.failures += 1
        if self.failures >= self._most or self._opened_s is not None:
            self._opened_s = self._clock()

    def trip(self) -> None:
        """Open at once: the server is known to be gone."""
        self.failures = max(self.failures, self._most)
        self._opened_s = self._clock()
