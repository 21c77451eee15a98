"""Who decides when several agents share one fleet: the part of the joint environment that is each agent's own.

The joint environment shows the pending decision over the union of all columns and of the actions of all tiers. A seat
cuts out what concerns one agent: the actions of its tier, and the blocks of columns that the environment of that tier
alone shows (`spec_for`). Nothing is lost: at an agent's decision its cut equals, byte for byte, what the tier's own
environment would show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from maestro_gym.core.errors import ArgumentValueError
from maestro_gym.envs.batch.agent_batch import AgentBatch
from maestro_gym.envs.observation.layout import BLOCKS, Layout, make_layout, spec_for
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_GLOBAL, TIER_NAMES, TIER_NODE
from maestro_gym.scheduling.tool_view import rule_tier

AGENTS = ("tiers", "nodes")
"""Who the agents are: one a tier, or one for the fleet, one a cluster and one a node."""

OF_FLEET = ("fleet", "scale")
"""Blocks of a context that describe the fleet, whoever decides."""


@dataclass(frozen=True)
class Seat:
    """One agent's part of the joint environment.

    Attributes:
        layout: The layout of its own observation, A of which are its own actions.
        first_action: Its action 0 among the joint actions.
        columns: Array of int64, shape (F,), its columns of a joint candidate.
        context_columns: Array of int64, shape (G,), its columns of the joint context.
        about_decision: Array of bool, shape (G,), columns of its context that describe the pending decision and
            not the fleet.
    """

    layout: Layout
    first_action: int
    columns: np.ndarray
    context_columns: np.ndarray
    about_decision: np.ndarray

    def observation(self, joint: dict[str, np.ndarray], asked: bool) -> dict[str, np.ndarray]:
        """What the agent sees.

        Args:
            joint: The joint observation of one environment.
            asked: The pending decision is the agent's; otherwise it sees the state of the fleet and no decision.

        Returns:
            ``candidates``, float32 (A, F), and ``context``, float32 (G,), in arrays of their own.
        """
        context = joint["context"][self.context_columns]
        if not asked:
            context[self.about_decision] = 0.0
            return {
                "candidates": np.zeros((self.layout.num_actions, len(self.columns)), np.float32),
                "context": context,
            }
        return {"candidates": self._own(joint["candidates"])[:, self.columns], "context": context}

    def mask(self, joint: np.ndarray, asked: bool) -> np.ndarray:
        """The agent's legal actions, int8, shape (A,): 1 where legal, all 0 unless it is asked.

        Args:
            joint: The joint mask, bool, of one environment.
            asked: The pending decision is the agent's.
        """
        return self._own(joint).astype(np.int8) if asked else np.zeros(self.layout.num_actions, np.int8)

    def _own(self, joint: np.ndarray) -> np.ndarray:
        return joint[self.first_action : self.first_action + self.layout.num_actions]


def agent_at(agents: str, tier: int, place: int) -> str:
    """Name of the agent that takes a decision.

    Args:
        agents: One of `AGENTS`.
        tier: TIER_* of the decision.
        place: The cluster or node that it is about.

    Returns:
        ``global``, ``cluster`` or ``node``, and with ``nodes`` the last two numbered: ``node_3``.
    """
    answering = rule_tier(tier)
    name = TIER_NAMES[answering]
    return name if agents == "tiers" or answering == TIER_GLOBAL else f"{name}_{place}"


def make_seats(batch: AgentBatch, agents: str) -> dict[str, Seat]:
    """The seats of all agents by name.

    Args:
        batch: Environments of the joint tier.
        agents: One of `AGENTS`.

    Returns:
        In the order of the tiers, then of clusters and nodes.

    Raises:
        ArgumentValueError: There are no such agents.
    """
    if agents not in AGENTS:
        raise ArgumentValueError(f"agents={agents!r} is none of {', '.join(map(repr, AGENTS))}; pass one of them.")
    tiers = {tier: _seat_of_tier(batch, tier) for tier in (TIER_GLOBAL, TIER_CLUSTER, TIER_NODE)}
    if agents == "tiers":
        return {agent_at(agents, tier, 0): seat for tier, seat in tiers.items()}
    clusters = batch.scenario.world.nodes["cluster"]
    sizes = np.bincount(clusters).tolist()
    return {
        agent_at(agents, TIER_GLOBAL, 0): tiers[TIER_GLOBAL],
        **{agent_at(agents, TIER_CLUSTER, c): _first(tiers[TIER_CLUSTER], size) for c, size in enumerate(sizes)},
        **{agent_at(agents, TIER_NODE, n): tiers[TIER_NODE] for n in range(len(clusters))},
    }


def _first(seat: Seat, num_actions: int) -> Seat:
    """A seat with the first of its actions only."""
    return replace(seat, layout=replace(seat.layout, num_actions=num_actions))


def _seat_of_tier(batch: AgentBatch, tier: int) -> Seat:
    joint = batch.layout.record[0]
    world, name = batch.scenario.world, TIER_NAMES[tier]
    spec = spec_for(name, world)
    layout = make_layout(
        spec,
        world,
        int(world.params["node_queue_limit"][0]),
        window=batch.options.window,
        predictions=batch.options.information == "P",
        evaluation=batch.options.evaluation,
    )
    of_block = [np.full(len(BLOCKS[block].columns), block not in OF_FLEET) for block in spec.context_blocks]
    return Seat(
        layout=layout,
        first_action=int(joint[f"rows_{name}"]),
        columns=_columns(joint, spec.row_blocks, ""),
        context_columns=_columns(joint, spec.context_blocks, "context_"),
        about_decision=np.concatenate(of_block),
    )


def _columns(joint: np.void, blocks: tuple[str, ...], prefix: str) -> np.ndarray:
    """Where the columns of some blocks stand in the joint observation."""
    begins = [(int(joint[f"{prefix}{block}"]), len(BLOCKS[block].columns)) for block in blocks]
    return np.concatenate([np.arange(begin, begin + count) for begin, count in begins])
