"""Which fields of the view a policy heeds, found by asking it twice: with the field as it is, and with it made up.

The source of a rule would not say so, because rules of one family share code whose branches they never take.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maestro_gym.baselines.sentinel import answer_without, asker, decisions, rule_of
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy

DECISIONS = 400
"""The number of decisions of a simulated episode at which a policy is asked."""


def heeded_fields(policy: Policy, scenario: Scenario, names: Sequence[str], most: int = DECISIONS) -> list[str]:
    """Find out which of some fields the answers of a policy depend on.

    Args:
        policy: The policy that is asked; its reclaim rule is not.
        scenario: The scenario whose simulated episode gives the decisions.
        names: The fields of the view, each as ``record.field``.
        most: The number of decisions.

    Returns:
        The fields with which an answer changed.
    """
    generator = np.random.default_rng(0)
    heeded: set[str] = set()
    for tier, simulation, _ in decisions(policy, scenario, most):
        answer = asker(rule_of(policy, tier), simulation)
        first = answer(simulation.state.hidden)
        for name in set(names) - heeded:
            if answer_without([name], simulation, answer, generator) != first:
                heeded.add(name)
    return [name for name in names if name in heeded]
