"""What the four environments share: one environment of a batch, with Gymnasium's interface."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import gymnasium
import numpy as np
from gymnasium import spaces

from maestro_gym.config import hint
from maestro_gym.core.errors import ArgumentTypeError, MaestroError
from maestro_gym.envs.batch.agent_batch import AgentBatch, EnvOptions
from maestro_gym.envs.batch.simulated import Batch
from maestro_gym.envs.episode_end import end_info
from maestro_gym.envs.render import FRAMES_PER_S, RENDER_MODES, Display, check_render_mode
from maestro_gym.envs.shown import Observation, shown, shown_space
from maestro_gym.state import DONE_NO

Options = TypeVar("Options", bound=EnvOptions)


class MaestroEnv(gymnasium.Env[Observation, np.int64]):
    """Base of the environments; see the classes of the four ids.

    Attributes:
        metadata: What Gymnasium asks of every environment.
        tier: The tier that the agent drives, a name of `TIER_SPECS`.
        own_page: The environment's own part of its docstring, see `pages.page`.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as Gymnasium declares it
        "render_modes": list(RENDER_MODES),
        "render_fps": FRAMES_PER_S,
    }
    tier: ClassVar[str]
    own_page: ClassVar[str] = ""

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:  # noqa: ANN401 - see EnvOptions
        """Make the environment.

        Args:
            render_mode: None, ``ansi``, ``rgb_array`` or ``human``.
            options: Fields of `EnvOptions`.

        Raises:
            ArgumentTypeError: There is no such argument.
            ArgumentValueError: An argument cannot have its value.
        """
        self.render_mode = check_render_mode(render_mode, RENDER_MODES)
        self.batch = self._make_batch(options)
        self._display = Display(self.batch, render_mode)
        self.observation_space = shown_space(self.batch)
        self.action_space = spaces.Discrete(self.batch.layout.num_actions)
        self._seeded = False
        self._over = True

    def _make_batch(self, options: dict[str, Any]) -> AgentBatch:
        return Batch(self.tier, env_options(options, owner=type(self)), 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Begins the first episode of that seed; None goes on with the next episode, and draws
                the seed from ``np_random`` when there was none.
            options: Not used.

        Returns:
            Observation and info of the first decision.
        """
        super().reset(seed=seed)
        if seed is None and not self._seeded:
            seed = int(self.np_random.integers(2**31))
        self._seeded = True
        self.batch.begin_all([seed])
        self._display.begin()
        self._over = False
        return self._observation(), self._info(np.zeros(len(self.batch.reward.term_names)))

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Do an action and go to the agent's next decision.

        Args:
            action: Index of a candidate.

        Returns:
            Observation, reward, terminated (the system has drained), truncated (time limit), info.

        Raises:
            MaestroError: The episode is over or was never begun, or the action is refused.
        """
        if self._over:
            raise MaestroError("This environment has no episode under way: call reset() before step().")
        self.batch.step(np.asarray([action]))
        self._display.note()
        values, terms = self.batch.rewards()
        terminated, truncated = self.batch.ends()
        self._over = bool(self.batch.outcome[0]["done"] != DONE_NO)
        return self._observation(), float(values[0]), bool(terminated[0]), bool(truncated[0]), self._info(terms[0])

    def action_masks(self) -> np.ndarray:
        """Legal actions of the pending decision, bool, shape (A,); never empty."""
        return self.batch.buffers.mask[0].copy()

    def render(self) -> str | np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Text or an image, as ``render_mode`` asks; with ``human``, None, for the window shows every step."""
        return self._display.render()

    def close(self) -> None:
        """End what is under way, and close the window."""
        self._display.close()
        self.batch.close()

    def _observation(self) -> Observation:
        return shown(self.batch, 0)

    def _info(self, terms: np.ndarray) -> dict[str, Any]:
        return info_of(self.batch, 0, terms)


def env_options(given: dict[str, Any], kind: type[Options] = EnvOptions, *, owner: type) -> Options:
    """Arguments of an environment as `EnvOptions`, or as another kind of them.

    Args:
        given: The arguments.
        kind: Their kind.
        owner: What they were given to.

    Raises:
        ArgumentTypeError: There is no such argument; in Python's own words, which other libraries look for.
    """
    known = kind.__dataclass_fields__
    for name in given:
        if name not in known:
            raise ArgumentTypeError(
                f"{owner.__name__}.__init__() got an unexpected keyword argument {name!r}. {hint(name, known)}"
            )
    return kind(**given)


def info_of(batch: AgentBatch, e: int, terms: np.ndarray) -> dict[str, Any]:
    """Info of one environment: the same keys at every step, simulated time only, and more at the end of an episode.

    Args:
        batch: The batch.
        e: The environment.
        terms: Array of float64, shape (terms,), the reward's terms of the last step.

    Returns:
        See the environments' docstrings.
    """
    outcome = batch.outcome[e]
    info = {
        "dt_s": float(outcome["dt_s"]),
        "sim_time_s": float(outcome["now_s"]),
        "tier": int(outcome["tier"]),
        "place": int(outcome["place"]),
        "action_mask": batch.buffers.mask[e].copy(),
        "invalid_action": bool(outcome["invalid"]),
        "reward_terms": dict(zip(batch.reward.term_names, terms.tolist(), strict=True)),
        "workflows_arrived": int(outcome["arrived"]),
        "workflows_finished": int(outcome["finished"]),
        "episode_index": int(batch.episodes[e]),
        "end_reason": int(outcome["done"]),
    }
    return info if outcome["done"] == DONE_NO else info | end_info(batch, e)
