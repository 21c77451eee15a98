"""Who takes a decision: the acting policy, the fallback when that fails, or an agent; a shadow policy is only asked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from maestro_gym.real_backend.control.moves import ask_rule
from maestro_gym.scheduling.outside import raise_failures
from maestro_gym.scheduling.policy import Policy
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_beside, open_engine
from maestro_gym.state import State

LATE_S = 0.25
"""A decision that takes longer than this is late [s]."""

MOST_TROUBLE = 3
"""The number of late, failed or illegal decisions after which the fallback takes over for good."""

REPLACED = "policy replaced"
"""The trouble of every decision after that, in the event log."""

NO_ANSWER = -1
"""An answer that is never legal, so that the lowest legal action is taken in its place."""


class Agent(Protocol):
    """One who decides some tiers from outside, such as the user of a Gymnasium environment; the run waits for it.

    Attributes:
        tiers: A bit mask: bit t is set when the agent decides for tier t.
    """

    tiers: int

    def open(self, engine: Any, state: State) -> None:  # noqa: ANN401 - a box
        """Take over the boxed engine and the arrays of a run whose fleet state was just made."""
        ...

    def decide(self, tier: int) -> int:
        """Take the pending decision of a tier; return the code of the action."""
        ...

    def refused(self) -> None:
        """Hear that the last answer was illegal, and that the lowest legal action was taken instead."""
        ...


@dataclass(frozen=True)
class Answer:
    """One decision that was taken.

    Attributes:
        action: The action code of the decision's tier.
        by: Who took the decision: ``policy``, ``fallback`` or ``agent``.
        latency_s: The real time that the decision took.
        shadow: The action that the shadow policy would have taken; None when there is no shadow policy.
        trouble: Why the decision was late or failed; empty when nothing went wrong.
    """

    action: int
    by: str
    latency_s: float
    shadow: int | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Asked:
    """A policy that can be asked about the state of a fleet.

    Attributes:
        policy: The policy.
        engine: Its rules and the state, boxed.
    """

    policy: Policy
    engine: Any

    def ask(self) -> int:
        """Let the policy decide.

        Returns:
            The code of an action.

        Raises:
            Exception: A rule failed, which is told of an agent in Python too.
        """
        action = int(ask_rule(self.engine))
        raise_failures(self.policy)
        return action

    def ask_quietly(self) -> int:
        """Let the policy decide; `NO_ANSWER` when it fails."""
        try:
            return self.ask()
        except Exception:
            return NO_ANSWER


@dataclass
class LivePolicies:
    """The policies of a live run: they read one fleet state, and each keeps notes of its own.

    Attributes:
        acting: The policy that acts.
        agent: An agent that decides its tiers in place of the policy.
        latencies_s: The latency of every decision.
        troubles: The number of late, failed and illegal decisions of the acting policy.
    """

    acting: Asked
    _fallback: Asked
    _shadow: Asked | None
    agent: Agent | None = None
    latencies_s: list[float] = field(default_factory=list)
    troubles: int = 0

    @property
    def engine(self) -> Any:  # noqa: ANN401 - a box
        """The boxed engine of the acting policy, which every function of ``moves`` takes."""
        return self.acting.engine

    @property
    def replaced(self) -> bool:
        """Whether the fallback has taken over for good."""
        return self.troubles >= MOST_TROUBLE

    def answer(self, tier: int) -> Answer:
        """Let the pending decision be taken.

        Args:
            tier: The tier that must decide.

        Returns:
            The decision.
        """
        shadow = None if self._shadow is None else self._shadow.ask_quietly()
        if self.agent is not None and self.agent.tiers >> tier & 1:
            begin = time.perf_counter()
            action = self.agent.decide(tier)
            self.latencies_s.append(time.perf_counter() - begin)
            return Answer(action, "agent", self.latencies_s[-1], shadow)
        if self.replaced:
            return Answer(self._fallback.ask_quietly(), "fallback", 0.0, shadow, REPLACED)
        begin = time.perf_counter()
        try:
            action, trouble = self.acting.ask(), ""
        except Exception as error:
            action, trouble = NO_ANSWER, f"{type(error).__name__}: {error}"[:200]
        latency_s = time.perf_counter() - begin
        self.latencies_s.append(latency_s)
        if trouble:
            self.troubles += 1
            return Answer(self._fallback.ask_quietly(), "fallback", latency_s, shadow, trouble)
        if latency_s > LATE_S:
            # The answer is here now, so it is used; a policy that is late again and again is replaced.
            self.troubles += 1
            return Answer(action, "policy", latency_s, shadow, "late")
        return Answer(action, "policy", latency_s, shadow)

    def refused(self, answer: Answer) -> None:
        """Note that a decision was illegal, and that the lowest legal action was taken in its place."""
        if answer.by == "policy":
            self.troubles += 1
        elif self.agent is not None and answer.by == "agent":
            self.agent.refused()


def open_policies(
    simulation: Simulation, policy: Policy, fallback: Policy, shadow: Policy | None, agent: Agent | None
) -> LivePolicies:
    """Join the state of a fleet with the policies of its run.

    Args:
        simulation: The state of the fleet, with an episode loaded.
        policy: The policy that acts.
        fallback: The policy that acts when the first one fails.
        shadow: A policy that is only asked.
        agent: An agent that decides its tiers in place of the policy.

    Returns:
        The policies with their rules compiled, because the time of compiling must not look like a late decision.
    """
    acting, other = Asked(policy, open_engine(simulation, policy)), Asked(fallback, open_beside(simulation, fallback))
    asked = None if shadow is None else Asked(shadow, open_beside(simulation, shadow))
    if agent is not None:
        agent.open(acting.engine, simulation.state)
    return LivePolicies(acting, other, asked, agent=agent)
