"""What can go wrong between the controller and a server, by kind, because the kind decides what is done about it."""

from __future__ import annotations

from enum import StrEnum

from maestro_gym.real_backend.vllm.keys import hide_keys


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
    """The failure of a call to a server.

    Attributes:
        fault: The kind of trouble.
        detail: Words for the log, bounded in length, without keys or prompts.
    """

    def __init__(self, fault: Fault, detail: str) -> None:
        """Describe the failure.

        Args:
            fault: The kind of trouble.
            detail: Words for the log; keys are hidden, control characters replaced and the length bounded here.
        """
        self.fault = fault
        self.detail = "".join(c if c.isprintable() else " " for c in hide_keys(detail))[:300]
        super().__init__(f"{fault}: {self.detail}")

    @property
    def counts(self) -> bool:
        """Whether the failure speaks against the server: a refusal or a full queue does not."""
        return self.fault not in (Fault.REFUSED, Fault.BUSY, Fault.LEFT_ALONE)
