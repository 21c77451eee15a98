"""One environment of a native vector, as Gymnasium's ``call``, ``get_attr`` and ``set_attr`` see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

if TYPE_CHECKING:
    from maestro_gym.envs.vector import MaestroVectorEnv


class Member:
    """One environment of a vector.

    It has the attributes and methods of a single environment that do not step it. A user may set further attributes.

    Attributes:
        vector: The vector.
        index: Its place.
    """

    def __init__(self, vector: MaestroVectorEnv, index: int) -> None:
        """Take a place of a vector."""
        self.__dict__.update(vector=vector, index=index)

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - whatever a user keeps there
        """Keep a value of the user's own."""
        if hasattr(type(self), name) or name in ("vector", "index"):
            raise AttributeError(
                f"the environments of a native vector share {name!r}; make another vector with other arguments"
            )
        self.__dict__[name] = value

    @property
    def unwrapped(self) -> Member:
        """Itself."""
        return self

    @property
    def spec(self) -> Any:  # noqa: ANN401 - an EnvSpec
        """The registered id."""
        return self.vector.spec

    @property
    def metadata(self) -> dict[str, Any]:
        """The vector's."""
        return self.vector.metadata

    @property
    def render_mode(self) -> str | None:
        """The vector's."""
        return self.vector.render_mode

    @property
    def observation_space(self) -> spaces.Space:
        """Of one environment."""
        return self.vector.single_observation_space

    @property
    def action_space(self) -> spaces.Space:
        """Of one environment."""
        return self.vector.single_action_space

    @property
    def options(self) -> Any:  # noqa: ANN401 - EnvOptions
        """Arguments of the environments."""
        return self.vector.options

    @property
    def scenario(self) -> Any:  # noqa: ANN401 - a Scenario
        """What runs."""
        return self.vector.batch.scenario

    @property
    def tier(self) -> str:
        """What the agent drives."""
        return self.vector.tier

    @property
    def seed(self) -> int:
        """Seed of its episodes."""
        return int(self.vector.batch.seeds[self.index])

    @property
    def np_random_seed(self) -> int:
        """The same, under Gymnasium's name."""
        return self.seed

    @property
    def episode_index(self) -> int:
        """Number of the episode that is under way."""
        return int(self.vector.batch.episodes[self.index])

    def action_masks(self) -> np.ndarray:
        """Legal actions of the pending decision, bool, shape (A,)."""
        return self.vector.batch.buffers.mask[self.index].copy()

    def render(self) -> str | np.ndarray | None:
        """As the vector renders it."""
        return self.vector.displays[self.index].render()

    def get_wrapper_attr(self, name: str) -> Any:  # noqa: ANN401 - whatever it is
        """An attribute: nothing wraps it."""
        return getattr(self, name)

    def has_wrapper_attr(self, name: str) -> bool:
        """Whether there is such an attribute."""
        return hasattr(self, name)
