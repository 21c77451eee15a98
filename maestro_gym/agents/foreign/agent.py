"""What an agent from outside is, and what must be known of it to put it among the rules of a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from maestro_gym.config import hint
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.additions import ADDITIONS
from maestro_gym.envs.observation.layout import TIER_SPECS, Layout, make_layout
from maestro_gym.envs.observation.window import NUM_ORDERS
from maestro_gym.scheduling.tiers import TIER_NAMES
from maestro_gym.state import World

USUAL_WINDOW = 32
"""Of the environments, unless they are told otherwise."""

INFORMATION = ("P", "N")
"""Classes of an agent: predictions are shown, or blanked; nobody is shown the future."""


class Agent(Protocol):
    """One who decides in Python.

    It may also have ``reset()``, which is called before the first decision of every episode.
    """

    def act(self, observation: dict[str, np.ndarray], mask: np.ndarray) -> Any:  # noqa: ANN401 - int, or what becomes one
        """Choose a candidate.

        Args:
            observation: What its environment shows: ``candidates``, float32, shape (A, F), and ``context``, float32,
                shape (G,). The arrays are the agent's own.
            mask: Legal candidates, bool, shape (A,); one at least.

        Returns:
            The row of a legal candidate. Anything else is replaced by the lowest legal one, and counted.
        """
        ...


@dataclass(frozen=True)
class AgentCard:
    """What must be known of an agent besides the agent.

    Attributes:
        name: As in tables.
        tier: Whose decisions it takes: node, cluster, global or joint.
        information: ``P``, or ``N`` for an observation in which predictions are blanked.
        companions: Policy of the tiers that it does not drive.
        window: K, the stages that the global tier is shown; None finds it by ``num_actions``.
        description: One line of what it is.
        file: Where it comes from.
        num_actions: A that it is bound to; None works with any fleet.
        additions: What it is shown beyond the observation of its tier, names of ``observation.additions.ADDITIONS``.
    """

    name: str
    tier: str
    information: str = "P"
    companions: str = "maestro"
    window: int | None = None
    description: str = "an agent in Python"
    file: str = ""
    num_actions: int | None = None
    additions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        where = f"{self.file}: {self.name}"
        if self.tier not in TIER_SPECS:
            raise MaestroError(f"{where}: tier is {self.tier!r}. {hint(str(self.tier), TIER_SPECS)}")
        for name in self.additions:
            if name not in ADDITIONS:
                raise MaestroError(f"{where}: additions hold {name!r}. {hint(str(name), ADDITIONS)}")
        if self.information not in INFORMATION:
            raise MaestroError(
                f"{where}: information is {self.information!r}. An agent is shown predictions (P) or not (N); write "
                "one of the two."
            )
        if self.window is not None and (not isinstance(self.window, int) or self.window < NUM_ORDERS):
            raise MaestroError(f"{where}: window is {self.window!r}; it is a number of stages, at least {NUM_ORDERS}.")

    def layout(self, world: World) -> Layout:
        """The layout of what the agent sees of a fleet.

        Args:
            world: The fleet.

        Raises:
            MaestroError: The agent is bound to a fleet of another size.
        """
        layout = self._layout(world, self.window or USUAL_WINDOW)
        wanted = self.num_actions or layout.num_actions
        if self.window is None and wanted != layout.num_actions and "global" in tiers_of(self.tier):
            # Each stage of the window has a candidate for every cluster, and one more where it may be rejected, and as
            # one that waits for a tool.
            tools = "tools" in layout.spec.additions
            each = len(world.latency_s) + int(world.params["admission"][0]) + int(tools)
            window = USUAL_WINDOW + (wanted - layout.num_actions) // each
            layout = self._layout(world, max(window, NUM_ORDERS))
        if wanted != layout.num_actions:
            raise MaestroError(
                f"{self.file}: the model chooses among {self.num_actions} candidates, and this scenario has "
                f"{layout.num_actions} in the {self.tier} tier. Run it on the scenario that it was trained on, or "
                "train one that scores each candidate by itself, which works on any fleet."
            )
        return layout

    def _layout(self, world: World, window: int) -> Layout:
        queue = int(world.params[0]["node_queue_limit"])
        predictions = self.information == "P"
        spec = TIER_SPECS[self.tier].with_additions(self.additions)
        return make_layout(spec, world, queue, window=window, predictions=predictions, evaluation=True)


def tiers_of(tier: str) -> tuple[str, ...]:
    """Names of the tiers that an agent drives: one, or all of a joint one."""
    return tuple(name for t, name in enumerate(TIER_NAMES) if TIER_SPECS[tier].tiers >> t & 1)


def best_legal(scores: np.ndarray, mask: np.ndarray) -> int:
    """The legal candidate of the highest score, the first among equals.

    Args:
        scores: Logits or values, float32, shape (A,).
        mask: Legal candidates, bool, shape (A,).

    Raises:
        ValueError: A legal candidate has a score that is no number.
    """
    if np.isnan(scores[mask]).any():
        raise ValueError("the model scores a legal candidate with NaN")
    return int(np.argmax(np.where(mask, scores, -np.inf)))
