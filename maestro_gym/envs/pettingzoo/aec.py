"""The joint environment with PettingZoo's interface for agents that take turns (AEC)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.batch.own_rule import NO_ANSWER
from maestro_gym.envs.flat import flat_space, flatten
from maestro_gym.envs.joint_env import JointEnv
from maestro_gym.envs.pettingzoo.seats import agent_at, make_seats
from maestro_gym.envs.shown import observation_space_of
from maestro_gym.scheduling.tiers import NO_TIER

try:
    from pettingzoo import AECEnv
    from pettingzoo.utils.wrappers import OrderEnforcingWrapper
except ImportError as missing:
    raise MaestroError(
        "maestro_gym.envs.pettingzoo needs PettingZoo, which is not installed: pip install 'maestro-gym[pettingzoo]', "
        "or in a checkout pip install -e '.[pettingzoo]' -c constraints.txt."
    ) from missing


class MaestroAEC(AECEnv[str, dict[str, Any], np.int64]):
    """`Maestro/Joint-v0` by several agents that take turns (PettingZoo's AEC).

    An episode, its decisions and its rewards are those of the joint environment with the same seed. Who must decide is
    ``agent_selection``; an agent may be asked many times in a row, or never. There is no parallel form: the agents do
    not act at the same time, and what one does changes who is asked next.

    The agents are a team. The reward of a step is the joint one and goes to each of them, so ``last()`` gives an agent
    what the team earned since its own last decision; ``infos[agent]["dt_s"]`` is the simulated time that this took, by
    which to discount it. Infos have the keys of the joint environment; ``action_mask`` is the agent's own.

    All agents end together: terminated when the system has drained, truncated at the time limit.

    Attributes:
        joint: The environment underneath.
        render_mode: As of the joint environment.
        state_space: The space of `state`.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as PettingZoo declares it
        **JointEnv.metadata,
        "name": "maestro_v0",
        "is_parallelizable": False,
    }

    def __init__(
        self,
        agents: str = "tiers",
        *,
        render_mode: str | None = None,
        **options: Any,  # noqa: ANN401 - see EnvOptions
    ) -> None:
        """Make the environment.

        Args:
            agents: ``tiers`` (``global``, ``cluster`` and ``node``) or ``nodes`` (``global``, one a cluster and one a
                node).
            render_mode: As of the joint environment.
            options: Fields of `EnvOptions`. ``observation="flat"`` gives each agent a vector of its own columns.

        Raises:
            MaestroError: There is no such argument, or it has no such value.
        """
        super().__init__()
        self.joint = JointEnv(render_mode=render_mode, **options)
        self.render_mode = render_mode
        self.state_space = flat_space(self.joint.batch.layout)
        self._kind = agents
        self._flat = self.joint.batch.options.observation == "flat"
        self._seats = make_seats(self.joint.batch, agents)
        self.possible_agents = list(self._seats)
        self.agents = []
        self.observation_spaces = {agent: self._space_of(agent) for agent in self._seats}
        self.action_spaces = {agent: self._actions_of(agent) for agent in self._seats}

    def _space_of(self, agent: str) -> spaces.Dict:
        layout = self._seats[agent].layout
        mask = spaces.Box(0, 1, (layout.num_actions,), np.int8)
        seen = flat_space(layout) if self._flat else observation_space_of(layout)
        return spaces.Dict({"observation": seen, "action_mask": mask})

    def _actions_of(self, agent: str) -> spaces.Space[np.int64]:
        return spaces.Discrete(self._seats[agent].layout.num_actions)

    def observation_space(self, agent: str) -> spaces.Space[dict[str, Any]]:
        """The space of an agent's observation: ``observation`` and ``action_mask``."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[np.int64]:
        """The space of an agent's actions: those of its tier, counted from 0."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin an episode; see `MaestroEnv.reset`.

        Args:
            seed: Begins the first episode of that seed, as in the joint environment; None goes on with the next.
            options: Not used.
        """
        _, info = self.joint.reset(seed=seed, options=options)
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self._waited_s = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self._ask(info)

    def step(self, action: int | np.int64 | None) -> None:
        """Do the action of ``agent_selection`` and go to the next decision, whoever's it is.

        Args:
            action: One of the agent's own actions; None when its episode is over.

        Raises:
            MaestroError: There is no episode under way, or the action is refused.
        """
        if not self.agents:
            raise MaestroError("This environment has no episode under way: call reset() before step().")
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)  # pyright: ignore[reportArgumentType] - None is what it wants
            return
        own = self._accepted(agent, action)
        _, reward, terminated, truncated, info = self.joint.step(np.int64(self._seats[agent].first_action + own))
        # What an agent has earned is told when it is asked, and begins anew at its own step.
        self._cumulative_rewards[agent] = 0.0
        self._waited_s[agent] = 0.0
        self._waited_s = {name: waited_s + info["dt_s"] for name, waited_s in self._waited_s.items()}
        self.rewards = dict.fromkeys(self.agents, reward)
        self._accumulate_rewards()
        self.terminations = dict.fromkeys(self.agents, terminated)
        self.truncations = dict.fromkeys(self.agents, truncated)
        self._ask(info)

    def observe(self, agent: str) -> dict[str, Any]:
        """What an agent sees.

        Args:
            agent: Its name.

        Returns:
            ``observation`` and ``action_mask``, int8 (A,). An agent that is not asked sees the fleet, no candidates and
            a mask of zeros.
        """
        seat, asked = self._seats[agent], agent == self._asked
        joint = {name: array[0] for name, array in self.joint.batch.observation().items()}
        seen = seat.observation(joint, asked)
        mask = self._mask(agent)
        return {"observation": flatten(seen, mask) if self._flat else seen, "action_mask": mask}

    def state(self) -> np.ndarray:
        """The joint observation and mask as one vector, float32, for critics that see all of the pending decision."""
        joint = {name: array[0] for name, array in self.joint.batch.observation().items()}
        return flatten(joint, self.joint.batch.buffers.mask[0])

    def own_answer(self) -> int | None:
        """What the rule of the companions would do in the place of ``agent_selection``, for agents that do not learn.

        Returns:
            One of the agent's actions: the lowest legal one where the choice is not among them, as for a stage outside
            the window. None where the agent's episode is over.
        """
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            return None
        answer = int(self.joint.batch.own_answers()[0])
        return int(self._mask(agent).argmax()) if answer == NO_ANSWER else answer - self._seats[agent].first_action

    def render(self) -> str | np.ndarray | None:
        """Text or an image, as ``render_mode`` asks; see `MaestroEnv.render`."""
        return self.joint.render()

    def close(self) -> None:
        """End what is under way."""
        self.joint.close()

    def _mask(self, agent: str) -> np.ndarray:
        return self._seats[agent].mask(self.joint.batch.buffers.mask[0], agent == self._asked)

    def _ask(self, info: dict[str, Any]) -> None:
        """Turn to the agent whose decision is pending; at an end between two decisions it is nobody's."""
        pending = info["tier"] != NO_TIER
        self._asked = agent_at(self._kind, info["tier"], info["place"]) if pending else None
        self.agent_selection = self._asked or self.agents[0]
        # Where an episode with nothing to measure says nan, two equal episodes would have unequal infos.
        measured = {
            name: {metric: value for metric, value in info[name].items() if not math.isnan(value)}
            for name in ("episode_metrics", "reference_metrics")
            if name in info
        }
        self.infos = {
            agent: {**info, **measured, "action_mask": self._mask(agent), "dt_s": self._waited_s[agent]}
            for agent in self.agents
        }

    def _accepted(self, agent: str, action: int | np.int64 | None) -> int:
        """An action, unless the joint environment would take it for another agent's, or name it by its number there."""
        count = self._seats[agent].layout.num_actions
        if not isinstance(action, int | np.integer) or not 0 <= action < count:
            raise MaestroError(f"Action {action!r} of {agent} is outside Discrete({count}); pass 0 to {count - 1}.")
        mask = self._mask(agent)
        if self.joint.batch.options.illegal == "raise" and not mask[action]:
            some = ", ".join(map(str, np.flatnonzero(mask)[:8]))
            raise MaestroError(
                f'Action {action} of {agent} is illegal and illegal="raise" was asked for. Choose by its action_mask; '
                f"legal are {some}{' ...' if mask.sum() > 8 else ''}."
            )
        return int(action)


raw_env = MaestroAEC
"""The environment without wrappers, by the name that PettingZoo's modules use."""


def env(**options: Any) -> OrderEnforcingWrapper[str, dict[str, Any], np.int64]:  # noqa: ANN401 - see MaestroAEC
    """The environment as PettingZoo's modules offer it.

    It checks that calls come in order. PettingZoo's wrappers for actions are left out: the environment itself answers
    one outside the space with an error that names the agent, and an illegal one as its argument ``illegal`` says.

    Args:
        options: Arguments of `MaestroAEC`.

    Returns:
        The environment in PettingZoo's `OrderEnforcingWrapper`.
    """
    return OrderEnforcingWrapper(MaestroAEC(**options))
