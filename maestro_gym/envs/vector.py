"""The native vector environments: one call steps the whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from maestro_gym.core.errors import ArgumentTypeError, ArgumentValueError, MaestroError
from maestro_gym.envs.batch.agent_batch import EnvOptions
from maestro_gym.envs.batch.simulated import Batch
from maestro_gym.envs.episode_end import end_info
from maestro_gym.envs.member import Member
from maestro_gym.envs.render import FRAMES_PER_S, VECTOR_RENDER_MODES, Display, check_render_mode
from maestro_gym.envs.shown import Observation, shown, shown_space
from maestro_gym.envs.single import env_options, info_of
from maestro_gym.state import DONE_NO


class MaestroVectorEnv(gymnasium.vector.VectorEnv[Observation, np.ndarray, np.ndarray]):
    """A batch of one tier's environments; ``gymnasium.make_vec`` makes it.

    Environment e with seed s is exactly the single environment with seed s + e. What follows the end of an episode is
    Gymnasium's `autoreset_mode`:

    - ``SAME_STEP`` (default): the next episode begins in the same call. Observation and mask belong to it, the old
      one's are in ``infos["final_obs"]`` and ``infos["final_info"]``.
    - ``NEXT_STEP``: it begins with the next call, which ignores the environment's action and pays 0.
    - ``DISABLED``: it begins with ``reset(options={"reset_mask": ...})``.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as Gymnasium declares it
        "render_modes": list(VECTOR_RENDER_MODES),
        "render_fps": FRAMES_PER_S,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    tier: ClassVar[str]

    def __init__(
        self,
        num_envs: int = 1,
        *,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        copy: bool = True,
        **options: Any,  # noqa: ANN401 - see EnvOptions
    ) -> None:
        """Make the batch.

        Args:
            num_envs: E.
            render_mode: None, ``ansi`` or ``rgb_array``.
            autoreset_mode: What follows the end of an episode, see the class.
            copy: Whether observations are copies. The batch's own arrays, with False, are cheaper; two take turns, so
                that they hold until the step after the next.
            options: Arguments of the single environment.

        Raises:
            ArgumentTypeError: There is no such argument.
            ArgumentValueError: An argument cannot have its value.
        """
        self.render_mode = check_render_mode(render_mode, VECTOR_RENDER_MODES)
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = self.metadata | {"autoreset_mode": self.autoreset_mode}
        self.copy = copy
        self.batch = Batch(self.tier, env_options(options, owner=type(self)), num_envs)
        self.num_envs = self.batch.num_envs
        self.single_observation_space = shown_space(self.batch)
        self.single_action_space = spaces.Discrete(self.batch.layout.num_actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.displays = [Display(self.batch, render_mode, e) for e in range(self.num_envs)]
        self.members = tuple(Member(self, e) for e in range(self.num_envs))
        self._all = np.ones(self.num_envs, np.bool_)
        self._all.setflags(write=False)  # every info's mask is this very array
        self._over = np.zeros(self.num_envs, np.bool_)
        self._begun = np.zeros(self.num_envs, np.bool_)

    @property
    def options(self) -> EnvOptions:
        """Arguments of the environments."""
        return self.batch.options

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Seeds of the environments, as Gymnasium's own vectors tell them."""
        return self.get_attr("np_random_seed")

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every environment, or in some.

        Args:
            seed: An integer s gives environment e the seed s + e; a list gives each its own; None goes on with
                the next episodes, and draws the seeds where there were none.
            options: ``reset_mask``, bool, shape (E,): the environments whose episode begins; without it all.

        Returns:
            Observations of all environments, and infos of those whose episode begins.

        Raises:
            ArgumentTypeError: The mask has another type.
            ArgumentValueError: Seeds or mask are not one for each environment.
        """
        seed = int(seed) if isinstance(seed, np.integer) else seed
        super().reset(seed=seed if isinstance(seed, int) else None)
        chosen = self._chosen(options)
        if seed is None:
            seeds: list[int | None] = [None] * self.num_envs
        elif isinstance(seed, int):
            seeds = [seed + e for e in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ArgumentValueError(
                f"{len(seeds)} seeds were given for {self.num_envs} environments; give one for each."
            )
        drawn = self.np_random.integers(2**31, size=self.num_envs).tolist()
        self.batch.begin_some(
            {int(e): drawn[e] if seeds[e] is None and not self._begun[e] else seeds[e] for e in np.flatnonzero(chosen)}
        )
        for e in np.flatnonzero(chosen):
            self.displays[e].begin()
        self._begun |= chosen
        self._over &= ~chosen
        return self._observation(), self._infos(np.zeros((self.num_envs, len(self.batch.reward.term_names))), chosen)

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Do an action in every environment.

        Args:
            actions: Integers, shape (E,).

        Returns:
            Observations, rewards float64 (E,), terminated and truncated bool (E,), infos.

        Raises:
            ArgumentTypeError: The actions are no integers in a row.
            ArgumentValueError: There is not one for each environment, or one is outside the space or refused.
            MaestroError: An episode was never begun, or is over and not begun anew (DISABLED).
        """
        if not self._begun.all():
            raise MaestroError("No episode is under way: call reset() before step().")
        begun = self._over
        if begun.any():
            self._refuse_ended()
            self.batch.step_or_begin(actions, begun)
        else:
            self.batch.step(actions)
        rewards, terms = self.batch.rewards()
        terminated, truncated = self.batch.ends()
        if begun.any():
            rewards, terms = np.where(begun, 0.0, rewards), np.where(begun[:, None], 0.0, terms)
        if self.render_mode is not None:
            for display, anew in zip(self.displays, begun, strict=True):
                display.begin() if anew else display.note()
        ended = terminated | truncated
        if self.autoreset_mode != AutoresetMode.SAME_STEP:
            self._over = ended
            return self._observation(), rewards, terminated, truncated, self._infos(terms, self._all)
        final: dict[str, Any] = {}
        if ended.any():
            final = self._final(ended, terms)
            terms = np.where(ended[:, None], 0.0, terms)
            for e in np.flatnonzero(ended):
                self.batch.begin(int(e))
                self.displays[e].begin()
        return self._observation(), rewards, terminated, truncated, {**self._infos(terms, self._all), **final}

    def action_masks(self) -> np.ndarray:
        """Legal actions of the pending decisions, bool, shape (E, A)."""
        return self.batch.buffers.mask.copy()

    def render(self) -> tuple[Any, ...] | None:
        """A picture of every environment; None without a `render_mode`."""
        return None if self.render_mode is None else tuple(display.render() for display in self.displays)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:  # noqa: ANN401 - Gymnasium's types
        """Call a method of every environment, or read an attribute; see `Member`."""
        found = [getattr(member, name) for member in self.members]
        return tuple(value(*args, **kwargs) if callable(value) else value for value in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute of every environment; see `Member`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:  # noqa: ANN401 - Gymnasium's type
        """Set an attribute of every environment, which must be one of the user's own.

        Args:
            name: The attribute.
            values: One for each environment, in a list or tuple, or one for all.

        Raises:
            ArgumentValueError: There is not one value for each.
            AttributeError: It is an argument or a method of the environments, which share these.
        """
        if not isinstance(values, list | tuple):
            values = [values] * self.num_envs
        if len(values) != self.num_envs:
            raise ArgumentValueError(
                f"{len(values)} values were given for {self.num_envs} environments; give one for each."
            )
        for member, value in zip(self.members, values, strict=True):
            setattr(member, name, value)

    def _chosen(self, options: dict[str, Any] | None) -> np.ndarray:
        if options is None or "reset_mask" not in options:
            return self._all
        mask = options["reset_mask"]
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise ArgumentTypeError(f"reset_mask is a {type(mask).__name__}; pass a numpy array of bool.")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ArgumentValueError(
                f"reset_mask has shape {mask.shape} and {int(mask.sum())} True; pass one bool for each of the "
                f"{self.num_envs} environments, at least one of them True."
            )
        return mask

    def _refuse_ended(self) -> None:
        if self.autoreset_mode == AutoresetMode.DISABLED:
            raise MaestroError(
                f"The episodes of environments {np.flatnonzero(self._over).tolist()} are over and "
                'autoreset_mode=DISABLED: call reset(options={"reset_mask": terminated | truncated}) first.'
            )

    def _observation(self) -> Observation:
        return shown(self.batch, copy=self.copy)

    def _infos(self, terms: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
        """Infos as arrays, each with Gymnasium's mask of the environments that have it."""
        outcome = self.batch.outcome
        names = self.batch.reward.term_names
        chosen = chosen if chosen is self._all else chosen.copy()
        values = {
            "dt_s": outcome["dt_s"].copy(),
            "sim_time_s": outcome["now_s"].copy(),
            "tier": outcome["tier"].copy(),
            "place": outcome["place"].copy(),
            "action_mask": self.batch.buffers.mask.copy(),
            "invalid_action": outcome["invalid"] == 1,
            "workflows_arrived": outcome["arrived"].copy(),
            "workflows_finished": outcome["finished"].copy(),
            "episode_index": self.batch.episodes.copy(),
            "end_reason": outcome["done"].copy(),
        }
        infos = _marked(values, chosen)
        # An array for each term, as other array libraries take it: a column of one array has strides.
        by_term = dict(zip(names, terms.T.copy(), strict=True))
        infos |= _marked({"reward_terms": _marked(by_term, chosen)}, chosen)
        for e in np.flatnonzero(chosen & (outcome["done"] != DONE_NO)):
            infos = self._add_info(infos, end_info(self.batch, int(e)), int(e))
        return infos

    def _final(self, ended: np.ndarray, terms: np.ndarray) -> dict[str, Any]:
        """``final_obs`` and ``final_info`` of the environments that ended, before they begin anew."""
        final_obs = np.full(self.num_envs, None, dtype=object)
        final_info: dict[str, Any] = {}
        for e in np.flatnonzero(ended):
            final_obs[e] = shown(self.batch, int(e))
            final_info = self._add_info(final_info, info_of(self.batch, int(e), terms[e]), int(e))
        return {"final_obs": final_obs, "_final_obs": ended, "final_info": final_info, "_final_info": ended.copy()}


def _autoreset_mode(given: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(given)
    except ValueError:
        known = ", ".join(repr(mode.value) for mode in AutoresetMode)
        raise ArgumentValueError(f"autoreset_mode={given!r} is none of {known}; pass one of them.") from None


def _marked(values: dict[str, Any], chosen: np.ndarray) -> dict[str, Any]:
    """Values as Gymnasium keeps them: zero and unmarked where an environment has none."""
    if not chosen.all():
        values = {name: _only(value, chosen) for name, value in values.items()}
    return values | dict.fromkeys([f"_{name}" for name in values], chosen)


def _only(value: Any, chosen: np.ndarray) -> Any:  # noqa: ANN401 - an array, or a dict of them
    if isinstance(value, dict):
        return value
    kept = np.zeros_like(value)
    kept[chosen] = value[chosen]
    return kept


class NodeVectorEnv(MaestroVectorEnv):
    """Batch of ``Maestro/Node-v0``."""

    tier: ClassVar[str] = "node"


class ClusterVectorEnv(MaestroVectorEnv):
    """Batch of ``Maestro/Cluster-v0``."""

    tier: ClassVar[str] = "cluster"


class GlobalVectorEnv(MaestroVectorEnv):
    """Batch of ``Maestro/Global-v0``."""

    tier: ClassVar[str] = "global"


class JointVectorEnv(MaestroVectorEnv):
    """Batch of ``Maestro/Joint-v0``."""

    tier: ClassVar[str] = "joint"
