"""A circuit breaker: after several failures in a row a server is left alone for a while, then tried once."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Says whether calls to one server may go out.

    Attributes:
        failures: The number of failures in a row.
    """

    def __init__(self, failures: int, open_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Make a breaker that is closed.

        Args:
            failures: The number of failures in a row after which the breaker opens.
            open_s: The time after which an open breaker lets one call through.
            clock: A monotonic clock [s].
        """
        self.failures = 0
        self._most, self._open_s, self._clock = failures, open_s, clock
        self._opened_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the server has failed so often that it counts as down."""
        return self._opened_s is not None

    def allows(self) -> bool:
        """Say whether a call may go out now; while the breaker is open, one may every ``open_s``."""
        if self._opened_s is None:
            return True
        if self._clock() - self._opened_s < self._open_s:
            return False
        self._opened_s = self._clock()
        return True

    def succeeded(self) -> None:
        """Close the breaker, because a call succeeded."""
        self.failures = 0
        self._opened_s = None

    def failed(self) -> None:
        """Count a failed call, and open the breaker when there were too many in a row."""
        self.failures += 1
        if self.failures >= self._most or self._opened_s is not None:
            self._opened_s = self._clock()

    def trip(self) -> None:
        """Open the breaker at once, because the server is known to be gone."""
        self.failures = max(self.failures, self._most)
        self._opened_s = self._clock()
