"""A trained network as compiled rules: it runs at native speed, wherever a rule is accepted.

A rule writes the observation that the agent learned from (``observed_rule.py``) and takes the legal candidate
with the highest logit. Weights are frozen into the rule, so one rule compiles for every policy; the
encoder and the forward pass come compiled from the cache.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.agents.forward import best_candidate, pack, scratch_width
from maestro_gym.agents.networks import CandidateScorer, SlotMlp
from maestro_gym.agents.observed_rule import Choice, answering, observed_rule, spec_of_encoder
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.core.compile import compile_fresh
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.layout import Layout, make_layout
from maestro_gym.scheduling.policy import Rule
from maestro_gym.scheduling.tiers import TIER_NAMES
from maestro_gym.state import World


def learned_rules(
    card: PolicyCard, network: CandidateScorer | SlotMlp, world: World, *, name: str, source: str
) -> list[Rule]:
    """Make the rules of a trained policy: one, or three of a joint one.

    Args:
        card: What is known of the policy.
        network: With its weights.
        world: The fleet it shall work on.
        name: Of the rules, as in tables.
        source: Where the policy comes from.

    Returns:
        A rule for every tier that it drives.

    Raises:
        MaestroError: It learned from another observation, or an ``mlp`` from a fleet of another size.
    """
    layout = _layout(card, world)
    function = observed_rule(layout, _choice(network))
    return [
        answering(
            Rule(
                name=name,
                tier=tier_name,
                information="P" if card.predictions else "N",
                description=f"learned {card.tier} policy ({card.network}), {card.steps:,} decisions on {card.scenario}",
                source=source,
                choice="the legal action with the highest logit",
                function=function,
            ),
            layout.spec,
        )
        for tier, tier_name in enumerate(TIER_NAMES)
        if layout.spec.tiers >> tier & 1
    ]


def _layout(card: PolicyCard, world: World) -> Layout:
    try:
        spec = spec_of_encoder(card.encoder, card.tier, predictions=card.predictions)
    except MaestroError as error:
        raise MaestroError(f"The policy: {error}.") from None
    queue = int(world.params[0]["node_queue_limit"])
    layout = make_layout(spec, world, queue, window=card.window, predictions=card.predictions, evaluation=True)
    if card.network == "mlp" and layout.num_actions != card.num_candidates:
        raise MaestroError(
            f"The policy is an mlp over {card.num_candidates} slots, this scenario has {layout.num_actions}. "
            "Compare it on the scenario it was trained on, or train a scorer, which works on any fleet."
        )
    return layout


def _choice(network: CandidateScorer | SlotMlp) -> Choice:
    kind, weights, layers = pack(network)
    width = scratch_width(layers)

    def choose(e: int, now_s: float, candidates: np.ndarray, context: np.ndarray, mask: np.ndarray) -> int:
        scratch, logits = np.zeros((4, width), np.float32), np.zeros(len(mask), np.float32)
        return best_candidate(kind, weights, layers, candidates, context, mask, scratch, logits)

    return compile_fresh(choose)
