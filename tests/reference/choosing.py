"""The policy that drives both simulators: it sees only what is legal, and picks by a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

Action = tuple[str, int, int]
"""(kind, first, second): wait; send stage cluster; reject stage; call stage; leave, drop, offload or hold ms; start,
stop or route node; admit place level; promote or demote; regroup gpus."""


@dataclass(frozen=True)
class Asked:
    """A decision that is due.

    Attributes:
        number: of this decision in the episode.
        tier: global, cluster, node, tool or context.
        place: the node of a node decision, the type of a tool decision, the stage of a context decision, the cluster of
            a cluster decision, else 0.
        legal: everything that may be done.
    """

    number: int
    tier: str
    place: int
    legal: tuple[Action, ...]


@dataclass(frozen=True)
class Temper:
    """What a policy is inclined to do: weights of the kinds of action, and the levels at which it admits."""

    seed: int
    wait: float
    reject: float
    promote: float
    demote: float
    levels: tuple[int, ...]
    in_order: bool


def choose(asked: Asked, temper: Temper) -> Action:
    """Pick a kind of action by its weight, then the first or any action of the kind."""
    draw = random.Random(f"{temper.seed} {asked.number}")
    weights = {"wait": temper.wait, "reject": temper.reject, "promote": temper.promote, "demote": temper.demote}
    weights |= {"start": 0.5, "stop": 0.3, "regroup": 0.01}
    preferred = [action for action in asked.legal if action[0] != "admit" or action[2] in temper.levels]
    offers: dict[str, list[Action]] = {}
    for action in sorted(preferred or asked.legal):
        offers.setdefault(action[0], []).append(action)
    kinds = list(offers)
    kind = draw.choices(kinds, [weights.get(kind, 1.0) for kind in kinds])[0]
    return offers[kind][0] if temper.in_order else draw.choice(offers[kind])
