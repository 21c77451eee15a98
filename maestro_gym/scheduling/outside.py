"""Rules that answer from outside compiled code: what went wrong there waits here until somebody can hear it.

Compiled code can neither raise a user's exception nor count for an agent in Python. So such a rule keeps its first
failure and the number of its illegal answers, and whoever ran it asks for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from maestro_gym.scheduling.policy import Policy, Rule


class Outside(Protocol):
    """Who answers in place of compiled code."""

    def end_episode(self) -> None:
        """Hear that an episode is over: the next question begins another."""
        ...

    def take_failure(self) -> BaseException | None:
        """The first exception since the last call, as an error for the user; None when there was none."""
        ...

    def take_illegal(self) -> int:
        """The number of illegal answers since the last call; each was replaced by the lowest legal action."""
        ...


@dataclass(frozen=True)
class OutsideRule(Rule):
    """A rule whose compiled function asks somebody outside compiled code.

    Attributes:
        outside: Who is asked; the three rules of a joint agent share one.
    """

    outside: Outside


def outsiders_of(policy: Policy) -> list[Outside]:
    """Who is asked by the rules of a policy, each once; empty for a policy that is compiled throughout."""
    found: list[Outside] = []
    for rule in policy.rules:
        if isinstance(rule, OutsideRule) and rule.outside not in found:
            found.append(rule.outside)
    return found


def raise_failures(policy: Policy) -> None:
    """Raise what went wrong outside since the last call.

    Args:
        policy: Any policy.

    Raises:
        MaestroError: An agent failed; the error names its file and line.
        KeyboardInterrupt: The user stopped it while the agent decided.
    """
    for outside in outsiders_of(policy):
        failure = outside.take_failure()
        if failure is not None:
            raise failure


def end_episode(policy: Policy) -> int:
    """Tell those outside that an episode is over, and hear what became of it.

    Args:
        policy: Any policy.

    Returns:
        The number of illegal answers that were replaced.

    Raises:
        MaestroError: An agent failed in the episode; the error names its file and line.
        KeyboardInterrupt: The user stopped it while the agent decided.
    """
    for outside in outsiders_of(policy):
        outside.end_episode()
    raise_failures(policy)
    return sum(outside.take_illegal() for outside in outsiders_of(policy))
