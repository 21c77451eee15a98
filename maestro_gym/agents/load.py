"""A training run as a policy, wherever a policy is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from maestro_gym.agents.networks import CandidateScorer, SlotMlp
from maestro_gym.agents.policy_file import PolicyCard, load_network
from maestro_gym.baselines.registry import TABLE, load_policy, with_rule
from maestro_gym.baselines.user_rules import is_user_spec
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy


def is_run_spec(spec: str) -> bool:
    """Whether a policy's name points to a run folder: an existing folder, or a path that is no rule's file."""
    return spec not in TABLE and not is_user_spec(spec) and (Path(spec).is_dir() or "/" in spec or "\\" in spec)


def load_any_policy(spec: str, scenario: Scenario) -> Policy:
    """Make a policy from the folder of a training run, or from whatever the baselines know.

    Args:
        spec: Folder of a run, a name of the table, or ``file.py:Name``.
        scenario: What it shall run on.

    Returns:
        The policy; a learned one drives its tier, the others follow its companions in training.

    Raises:
        MaestroError: There is no such policy, or its files are missing, damaged or of another version.
    """
    if not is_run_spec(spec):
        return load_policy(spec, scenario)
    card, network = load_network(Path(spec))
    return learned_policy(card, network, scenario, name=Path(spec).resolve().name, spec=spec)


def learned_policy(
    card: PolicyCard, network: CandidateScorer | SlotMlp, scenario: Scenario, *, name: str, spec: str = ""
) -> Policy:
    """Complete a trained network with the rules of its companions.

    Args:
        card: What is known of it.
        network: With its weights.
        scenario: What it shall run on.
        name: As in tables.
        spec: What loads it again in another process, empty for none.
    """
    # Imported here: it brings the compiled observation along, which reading a name does not need.
    from maestro_gym.agents.export import learned_rules

    policy = load_policy(card.companions, scenario)
    for rule in learned_rules(card, network, scenario.world, name=name, source=spec or "training"):
        policy = with_rule(policy, rule, name, spec)
    return replace(policy, description=f"learned on {card.scenario}, companions {card.companions}")
