"""Paired futures: every way on from one decision of a policy's episode, each played by the policy itself.

The ways differ in one answer and share all that chance decides, so what they end in differs by that answer alone, and
by all that follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from maestro_gym.agents.rollout.outcome import OUTCOMES, outcome_by
from maestro_gym.envs.batch.buffers import make_buffers, open_runner
from maestro_gym.envs.batch.kernel import show_alone, step_one
from maestro_gym.envs.batch.own_rule import answered_by, own_answers
from maestro_gym.envs.observation.layout import TIER_SPECS, make_layout
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy
from maestro_gym.scheduling.tiers import AGENT_TIERS, ALL_TIERS, NO_TIER
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.branch import branch
from maestro_gym.sim.engine import OWN, answer_and_run, open_engine, run_until
from maestro_gym.state import Episode

WINDOW = 32
"""Ready stages shown of a decision of the global tier, as in environments."""


class Decision(NamedTuple):
    """A pending decision of the policy, as an agent in its place would see it.

    Attributes:
        now_s: Simulated time.
        tier: Number of its tier.
        candidates: float32, shape (A, F).
        context: float32, shape (G,).
        mask: bool, shape (A,).
        codes: int64, shape (A,), the engine's code of each legal candidate.
        own: The candidate that the policy takes, -1 when what it does is not among them.
    """

    now_s: float
    tier: int
    candidates: np.ndarray
    context: np.ndarray
    mask: np.ndarray
    codes: np.ndarray
    own: int


class PairedFutures:
    """Plays episodes of a policy and, at decisions of one tier, what would have come of other answers."""

    def __init__(self, scenario: Scenario, policy: Policy, tier: str) -> None:
        """Prepare.

        Args:
            scenario: What runs.
            policy: Who decides, also after another's first answer.
            tier: Whose decisions are looked at, a name of `AGENT_TIERS`.
        """
        self._policy, self._tiers = policy, AGENT_TIERS[tier]
        warm = scenario.config.workload.initial_placement == "warm"
        # Environment 0 is the policy's own episode, environment 1 the way that is tried.
        self._simulation = Simulation(scenario.world, 2, evaluation=True, warm=warm)
        queue = int(scenario.world.params[0]["node_queue_limit"])
        self._layout = make_layout(
            TIER_SPECS[tier], scenario.world, queue, window=WINDOW, predictions=True, evaluation=True
        )
        self._buffers = make_buffers(self._layout, 2)
        self._opened: Any = None

    def decisions(self, episode: Episode, times_s: Sequence[float], key: int = 0) -> Iterator[Decision]:
        """Play an episode and stop at decisions of the tier.

        Args:
            episode: What happens.
            times_s: Simulated times, rising; each time the first decision from then on.
            key: Seed of randomised rules.

        Yields:
            The decisions; the policy takes them itself when the next is asked for.
        """
        self._simulation.load(0, episode, key=key)
        self._open()
        for time_s in times_s:
            if answer_and_run(self._engine, 0, OWN, self._tiers, time_s) == NO_TIER:
                return
            yield self._look()

    def outcomes(self, code: int, ends_s: Sequence[float], future: Episode | None = None) -> np.ndarray:
        """What comes of an answer to the pending decision.

        Args:
            code: The answer, in the engine's code, or `OWN`.
            ends_s: Simulated times, rising, at which to look; inf is the end of the episode.
            future: Another future than the episode's, see `branch`.

        Returns:
            float64, shape (ends, `OUTCOMES`).
        """
        branch(self._simulation, 0, (1,), future)
        self._open()
        found = np.zeros((len(ends_s), len(OUTCOMES)))
        for place, end_s in enumerate(ends_s):
            answer_and_run(self._engine, 1, code if place == 0 else OWN, ALL_TIERS, end_s)
            found[place] = outcome_by(self._simulation.state, 1, end_s)
        return found

    def play(self, episode: Episode, key: int = 0) -> np.ndarray:
        """Play an episode of the policy from beginning to end; its outcome, shape (`OUTCOMES`,)."""
        self._simulation.load(0, episode, key=key)
        self._open()
        return self.finish()

    def finish(self) -> np.ndarray:
        """Play the policy's own episode to its end; its outcome, shape (`OUTCOMES`,)."""
        run_until(self._engine, 0, 0)
        return outcome_by(self._simulation.state, 0, np.inf)

    def answer(self, code: int) -> None:
        """Take an answer in the policy's own episode; the policy goes on from there."""
        answer_and_run(self._engine, 0, code, ALL_TIERS, -np.inf)

    def _look(self) -> Decision:
        clock, buffers = self._simulation.state.visible.clock[0], self._buffers
        tier = int(clock["tier"])
        show_alone(self._runner, 0, tier)
        answers = np.empty(1, np.int64)
        own_answers(self._runner, answers, answered_by(self._policy), 0, 1)
        shown = int(buffers.parity[0])
        return Decision(
            float(clock["now_s"]),
            tier,
            buffers.candidates[shown, 0].copy(),
            buffers.context[shown, 0].copy(),
            buffers.mask[0].copy(),
            buffers.codes[0].copy(),
            int(answers[0]),
        )

    def _open(self) -> None:
        if self._simulation.state is not self._opened:
            self._engine = open_engine(self._simulation, self._policy)
            self._runner = open_runner(self._engine, self._layout, self._buffers, step_one)
            self._opened = self._simulation.state
