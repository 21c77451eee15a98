"""Who answers a decision: the policy, a safe one when it fails, one that is only asked, an agent outside."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from maestro_gym.core.boxed import box
from maestro_gym.real_backend.control.moves import ask_rule
from maestro_gym.scheduling.policy import Policy
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import ENGINE, Engine
from maestro_gym.state import State
from maestro_gym.state.types import blank_hidden

LATE_S = 0.25
"""A decision that takes longer is late."""

MOST_TROUBLE = 3
"""Late or failed decisions after which the safe policy takes over for good."""

NO_ANSWER = -1
"""Answer that is never legal: the books then take the lowest legal action."""


class Agent(Protocol):
    """Who decides some tiers from outside, such as the user of a Gymnasium environment; it is waited for.

    Attributes:
        tiers: Bit t is set when it decides for tier t.
    """

    tiers: int

    def open(self, engine: Any, state: State) -> None:  # noqa: ANN401 - a box
        """The books of a run are open: their boxed engine and arrays."""
        ...

    def decide(self, tier: int) -> int:
        """Answer the pending decision with the action code of its tier."""
        ...

    def refused(self) -> None:
        """The last answer was illegal, the lowest legal action was taken."""
        ...


@dataclass(frozen=True)
class Answer:
    """What was decided.

    Attributes:
        action: Action code of the decision's tier.
        by: ``policy``, ``fallback`` or ``agent``.
        latency_s: Real time that the rule took.
        shadow: What the policy in the shadow would have done, None when there is none.
        trouble: Why the fallback had to answer, empty when it had not.
    """

    action: int
    by: str
    latency_s: float
    shadow: int | None = None
    trouble: str = ""


@dataclass
class Deciders:
    """The policies of a live run, each with notes of its own over one set of books.

    Attributes:
        books: Boxed engine of the acting policy, which all functions of ``ledger`` take.
        agent: Who decides its tiers in the place of the policy.
        latencies_s: Of every decision.
        troubles: Late, failed and illegal answers of the acting policy.
    """

    books: Any
    _fallback: Any
    _shadow: Any
    agent: Agent | None = None
    latencies_s: list[float] = field(default_factory=list)
    troubles: int = 0

    @property
    def replaced(self) -> bool:
        """Whether the safe policy has taken over."""
        return self.troubles >= MOST_TROUBLE

    def answer(self, tier: int) -> Answer:
        """Ask for the pending decision.

        Args:
            tier: That must decide.
        """
        shadow = None if self._shadow is None else _quietly(self._shadow)
        if self.agent is not None and self.agent.tiers >> tier & 1:
            begin = time.perf_counter()
            action = self.agent.decide(tier)
            self.latencies_s.append(time.perf_counter() - begin)
            return Answer(action, "agent", self.latencies_s[-1], shadow)
        if self.replaced:
            return Answer(_quietly(self._fallback), "fallback", 0.0, shadow, "policy replaced")
        begin = time.perf_counter()
        try:
            action, trouble = int(ask_rule(self.books)), ""
        except Exception as error:
            action, trouble = NO_ANSWER, f"{type(error).__name__}: {error}"[:200]
        latency_s = time.perf_counter() - begin
        self.latencies_s.append(latency_s)
        if trouble:
            self.troubles += 1
            return Answer(_quietly(self._fallback), "fallback", latency_s, shadow, trouble)
        if latency_s > LATE_S:
            # It is answered now, so it is used; a policy that is late again and again is not waited for.
            self.troubles += 1
            return Answer(action, "policy", latency_s, shadow, "late")
        return Answer(action, "policy", latency_s, shadow)

    def refused(self, answer: Answer) -> None:
        """An answer was illegal: the lowest legal action was taken in its place."""
        if answer.by == "policy":
            self.troubles += 1
        elif self.agent is not None and answer.by == "agent":
            self.agent.refused()


def open_deciders(
    simulation: Simulation, policy: Policy, fallback: Policy, shadow: Policy | None, agent: Agent | None
) -> Deciders:
    """Join the books with the policies.

    Args:
        simulation: The books, an episode loaded.
        policy: Who acts.
        fallback: Who acts when that fails.
        shadow: Who is only asked.
        agent: Who decides its tiers in the place of the policy.

    Returns:
        The deciders, their rules compiled: what compiling takes must not look like a late answer.
    """
    state = simulation.state
    boxes = [_engine(state, policy, own_notes=False), _engine(state, fallback)]
    boxes.append(None if shadow is None else _engine(state, shadow))
    if agent is not None:
        agent.open(boxes[0], state)
    return Deciders(*boxes, agent=agent)


def _engine(state: State, policy: Policy, *, own_notes: bool = True) -> Any:  # noqa: ANN401 - a box
    if own_notes:
        view = state.visible
        notes = {"memory": np.zeros_like(view.memory), "model_memory": np.zeros_like(view.model_memory)}
        state = state._replace(visible=view._replace(**notes))
    return box(Engine(state, blank_hidden(), *(rule.function for rule in policy.rules)), ENGINE)


def _quietly(engine: Any) -> int:  # noqa: ANN401 - a box
    try:
        return int(ask_rule(engine))
    except Exception:
        return NO_ANSWER
