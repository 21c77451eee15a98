"""What an agent sees and answers in E environments, whoever moves them: the simulator, or real servers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maestro_gym.core.errors import ArgumentTypeError, ArgumentValueError, MaestroError
from maestro_gym.envs.batch.buffers import make_buffers
from maestro_gym.envs.observation.layout import make_layout, spec_for
from maestro_gym.envs.observation.window import NUM_ORDERS
from maestro_gym.envs.reward import Reward, RewardConfig, reward_of
from maestro_gym.envs.scenario_source import ScenarioLike, companions_of, scenario_of
from maestro_gym.scheduling.policy import Policy
from maestro_gym.state import DONE_BUDGET, DONE_DRAINED, DONE_NO, Episode, State
from maestro_gym.workloads import SPLITS


@dataclass(frozen=True)
class EnvOptions:
    """Arguments of every Maestro environment.

    Attributes:
        scenario: Name, path, configuration or scenario.
        overrides: ``a.b.c=value`` for a scenario's name or path.
        companions: Policy of the tiers that the agent does not drive.
        split: Episodes of ``train``, ``validation`` or ``test``.
        illegal: ``replace`` takes the lowest legal action for an illegal one, ``raise`` raises.
        reward: ``weighted`` or ``normalised``, weights of the terms, or a reward of your own.
        window: K, ready stages shown to the global tier, at least 3.
        information: ``P``, or ``N`` to blank everything that rests on a prediction.
        evaluation: Let the system drain after the horizon instead of truncating there.
        log_residency: Keep a log of promotions and demotions.
        compare_with: Policy whose metrics on the same episode stand beside the agent's at its end, or None.
        observation: ``dict``, or ``flat`` for one vector with the mask at its end.
    """

    scenario: ScenarioLike = "quick"
    overrides: Sequence[str] = ()
    companions: str | Policy = "maestro"
    split: str = "train"
    illegal: str = "replace"
    reward: str | RewardConfig | Reward = "weighted"
    window: int = 32
    information: str = "P"
    evaluation: bool = False
    log_residency: bool = False
    compare_with: str | None = None
    observation: str = "dict"

    def __post_init__(self) -> None:
        """Refuse values that do not exist."""
        for name, value, known in (
            ("split", self.split, SPLITS),
            ("illegal", self.illegal, ("replace", "raise")),
            ("information", self.information, ("N", "P")),
            ("observation", self.observation, ("dict", "flat")),
        ):
            if value not in known:
                raise ArgumentValueError(
                    f"{name}={value!r} is none of {', '.join(map(repr, known))}; pass one of them."
                )
        if self.window < NUM_ORDERS:
            raise ArgumentValueError(
                f"window={self.window} has no place for the head of each order of the global queue; pass at least "
                f"{NUM_ORDERS}."
            )


class AgentBatch(ABC):
    """E environments of one tier over one scenario.

    Environment ``e`` runs the episodes ``scenario.episode(split, seeds[e], 0 | 1 | 2 ...)``.

    Attributes:
        options: The arguments.
        scenario: What runs.
        policy: The policy of the tiers that the agent does not drive.
        layout: The layout of the observation.
        buffers: What the agent sees and answers.
        num_envs: E.
        seeds: Array of int64, shape (E,).
        episodes: Array of int64, shape (E,): number of the episode under way, -1 before the first.
        reward: The reward object.
    """

    def __init__(self, tier: str, options: EnvOptions, num_envs: int) -> None:
        """Allocate the agent's arrays; no episode is loaded yet.

        Args:
            tier: A name of `layout.TIER_SPECS`.
            options: The arguments.
            num_envs: E.
        """
        self.options = options
        if not isinstance(num_envs, int | np.integer) or num_envs < 1:
            raise ArgumentValueError(
                f"num_envs={num_envs!r} is no number of environments; pass a whole number from 1 on."
            )
        try:
            self.scenario = scenario_of(options.scenario, options.overrides)
            self.policy = companions_of(options.companions, self.scenario)
        except MaestroError as error:
            raise ArgumentValueError(str(error)) from error
        self.num_envs = int(num_envs)
        self.reward = reward_of(options.reward, self.scenario)
        self.layout = make_layout(
            spec_for(tier, self.scenario.world),
            self.scenario.world,
            int(self.scenario.world.params["node_queue_limit"][0]),
            window=options.window,
            predictions=options.information == "P",
            evaluation=options.evaluation,
        )
        self.buffers = make_buffers(self.layout, num_envs)
        self.seeds = np.zeros(num_envs, np.int64)
        self.episodes = np.full(num_envs, -1, np.int64)

    @property
    @abstractmethod
    def state(self) -> State:
        """All arrays of the episodes."""

    @abstractmethod
    def episode(self, e: int) -> Episode:
        """What happens in the episode that an environment runs."""

    def policy_key(self, e: int) -> int:
        """Seed of randomised rules in the episode that an environment runs."""
        return int(self.seeds[e]) * 1_000_003 + int(self.episodes[e])

    @abstractmethod
    def begin(self, e: int, seed: int | None = None) -> None:
        """Load the next episode of an environment and go to its first decision.

        Args:
            e: The environment.
            seed: New seed, whose first episode is loaded (see `workloads.fold_seed`); None goes on with the next
                episode.

        Raises:
            MaestroError: The scenario asks nothing of the agent, episode after episode.
        """

    @abstractmethod
    def _move(self) -> None:
        """Do ``buffers.actions`` and go to the next decisions."""

    @abstractmethod
    def own_answers(self) -> np.ndarray:
        """What the companions' own rule would do in the agent's place, as actions.

        Returns:
            int64, shape (E,); `own_rule.NO_ANSWER` where its choice is not among the actions.
        """

    @abstractmethod
    def close(self) -> None:
        """End what is under way."""

    @property
    def outcome(self) -> np.ndarray:
        """OUTCOME (E,) of the last step."""
        return self.buffers.outcome

    def begin_all(self, seeds: Sequence[int | None]) -> None:
        """Begin an episode in every environment, see `begin`."""
        self.begin_some(dict(enumerate(seeds)))

    def begin_some(self, seeds: dict[int, int | None]) -> None:
        """Begin an episode in some environments; what is seen of the others stays.

        Args:
            seeds: Seed by environment, see `begin`.
        """
        before = self.observation()
        self.flip()
        if len(seeds) < self.num_envs:
            for name, array in self.observation().items():
                array[:] = before[name]
        for e, seed in seeds.items():
            self.begin(e, seed)

    def flip(self) -> None:
        """Write the next observation into the other buffer, so that the last one stays whole."""
        self.buffers.parity[0] = 1 - self.buffers.parity[0]

    def step(self, actions: np.ndarray) -> None:
        """Do an action in every environment and go to its next decision.

        Args:
            actions: Integers, shape (E,).

        Raises:
            ArgumentTypeError: The actions are no integers in a row.
            ArgumentValueError: There is not one for each environment, or one is outside the space, or illegal with
                ``illegal="raise"``.
        """
        actions = self._checked(actions)
        self._refuse_illegal(actions)
        self.buffers.actions[:] = actions
        self.flip()
        self._move()

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        """Actions of the right shape, type and range."""
        actions = np.asarray(actions)
        most = self.layout.num_actions
        if actions.shape != (self.num_envs,) or actions.dtype.kind not in "iu":
            # Gymnasium's own vectors call a wrong number of actions a wrong value, and anything else a wrong type.
            kind = ArgumentValueError if actions.ndim == 1 and actions.dtype.kind in "iu" else ArgumentTypeError
            raise kind(
                f"Actions have shape {actions.shape} and type {actions.dtype}; pass one integer for each of the "
                f"{self.num_envs} environments."
            )
        if actions.min() < 0 or actions.max() >= most:
            wrong = int(actions[(actions < 0) | (actions >= most)][0])
            raise ArgumentValueError(f"Action {wrong} is outside Discrete({most}); pass 0 to {most - 1}.")
        return actions

    def _refuse_illegal(self, actions: np.ndarray) -> None:
        """Refuse an illegal action where that was asked for."""
        if self.options.illegal != "raise":
            return
        legal = self.buffers.mask[np.arange(self.num_envs), actions]
        if not legal.all():
            e = int(np.argmin(legal))
            some = ", ".join(map(str, np.flatnonzero(self.buffers.mask[e])[:8]))
            raise ArgumentValueError(
                f'Action {int(actions[e])} of environment {e} is illegal and illegal="raise" was asked for. Choose by '
                f"action_masks(); legal are {some}{' ...' if self.buffers.mask[e].sum() > 8 else ''}."
            )

    def rewards(self) -> tuple[np.ndarray, np.ndarray]:
        """Rewards, float64 (E,), and terms, float64 (E, terms), of the last step."""
        return self.reward(self.buffers.deltas, self.buffers.outcome["dt_s"])

    def observation(self) -> dict[str, np.ndarray]:
        """The last observation, in the buffer it was written to."""
        parity = int(self.buffers.parity[0])
        return {"candidates": self.buffers.candidates[parity], "context": self.buffers.context[parity]}

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Bool (E,) each: terminated (drained), truncated (time limit or event budget)."""
        done = self.buffers.outcome["done"]
        terminated = done == DONE_DRAINED
        return terminated, (done != DONE_NO) & ~terminated

    def out_of_budget(self) -> np.ndarray:
        """Bool (E,): episodes that ended because too much happened between two decisions."""
        return self.buffers.outcome["done"] == DONE_BUDGET
