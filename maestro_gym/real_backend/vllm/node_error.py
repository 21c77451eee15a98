"""What can go wrong between the controller and a server, by kind: the kind decides what is done about it."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Kinds of trouble with a server."""

    UNREACHABLE = "unreachable"  # no connection
    BUSY = "busy"  # 503: come back later
    STALLED = "stalled"  # nothing came in time
    DROPPED = "dropped"  # a stream ended early
    MALFORMED = "malformed"  # an answer that cannot be believed
    REFUSED = "refused"  # 4xx: the same call would be refused again
    FAILED = "failed"  # 5xx
    LEFT_ALONE = "left alone"  # the circuit breaker is open


class NodeError(Exception):
    """A call to a server came to nothing.

    Attributes:
        fault: Kind of trouble.
        detail: Words for the log: bounded, without keys or prompts.
    """

    def __init__(self, fault: Fault, detail: str) -> None:
        """Note it.

        Args:
            fault: Kind of trouble.
            detail: Words for the log; control characters and length are cut down here.
        """
        self.fault = fault
        self.detail = "".join(c if c.isprintable() else " " for c in detail)[:300]
        super().__init__(f"{fault}: {self.detail}")

    @property
    def counts(self) -> bool:
        """Whether it speaks against the server: a refusal or a full queue does not."""
        return self.fault not in (Fault.REFUSED, Fault.BUSY, Fault.LEFT_ALONE)
