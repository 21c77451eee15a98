"""What of the published systems these decisions cannot express, with the reason: said and not faked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """A mechanism of a published system that no rule stands for.

    Attributes:
        system: Whose it is.
        mechanism: What it does.
        reason: Why no decision of the four rules says it.
        instead: The rules that stand for the rest of the system, or for what is nearest; empty where there is none.
    """

    system: str
    mechanism: str
    reason: str
    instead: str = ""


LEFT_OUT: tuple[LeftOut, ...] = (
    LeftOut(
        "Aegaeon",
        "switching models between tokens; decode in weighted round robin on token slack",
        "a node admits stages and moves models; who is in which step of an engine is not decided",
    ),
    LeftOut(
        "AIBrix",
        "prefill and decode on separate pods (`pd`)",
        "a stage runs on one node from its prompt to its last token",
    ),
    LeftOut(
        "Llumnix",
        "live migration",
        "no decision moves a running stage with its KV",
        "`llumnix`, its dispatch",
    ),
    LeftOut(
        "MuxServe", "shares of SMs for co-located models", "how engines share a GPU is physics (`limits.gpu_sharing`)"
    ),
    LeftOut("QLM", "eviction of running requests for others", "a running stage is paused only where memory is short"),
)
"""By system."""
