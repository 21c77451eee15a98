"""Whatever a policy can be, wherever one is named: rules, training runs, agents in Python, models from elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from maestro_gym.agents.foreign.model_spec import is_model_spec
from maestro_gym.agents.networks import CandidateScorer, SlotMlp
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import CARD_FILE, load_network
from maestro_gym.baselines.parts import EARLY, split_binding
from maestro_gym.baselines.registry import (
    TABLE,
    demand_trust_of,
    load_policy,
    numbers_file,
    user_policy,
    with_rule,
)
from maestro_gym.baselines.user_rules import is_user_spec, load_user_object, rule_from
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy


def is_run_spec(spec: str) -> bool:
    """Whether a policy's name points to a run folder: an existing one, or a path that is no file of a rule or model."""
    if spec in TABLE or is_user_spec(spec) or numbers_file(spec) is not None:
        return False
    return os.path.isdir(spec) or (not is_model_spec(spec) and ("/" in spec or "\\" in spec))


@dataclass(frozen=True)
class PolicyLoader:
    """`load_any_policy` with the user's word about trust, as comparisons hand it to their worker processes.

    Attributes:
        trust: Whether files that could run code are loaded.
    """

    trust: bool = False

    def __call__(self, spec: str, scenario: Scenario) -> Policy:
        """Make a policy; see `load_any_policy`."""
        return load_any_policy(spec, scenario, trust=self.trust)


def load_any_policy(
    spec: str, scenario: Scenario, *, named_in: str | Path | None = None, trust: bool = False
) -> Policy:
    """Make a policy of anything that can be named as one.

    Args:
        spec: A name of the table; the folder of a training run or of a search; a file of numbers; ``file.py:Name`` of a
            rule or of an agent in Python; or a model's file ``FILE[:TIER][:INFORMATION]`` whose suffix is ``.zip``
            (Stable-Baselines3), ``.pt`` (TorchScript) or ``.onnx``. A ``+`` and the name of companions may follow what
            comes from a file.
        scenario: What it shall run on.
        named_in: The file and field that names the policy; None: the user's own word, which is trust in a Python file.
        trust: Whether files that could run code may be loaded: ``.zip`` and ``.pt`` are such, and a Python file that
            another file names.

    Returns:
        The policy; a learned one drives its tier, the others follow its companions in training.

    Raises:
        MaestroError: There is no such policy, or its files are missing, not trusted, damaged or of another version.
    """
    demand_trust_of(spec, named_in, trust=trust)
    if is_user_spec(spec):
        return _from_python(spec, scenario)
    if is_run_spec(spec):
        folder = Path(spec)
        card, network = load_network(folder)
        demand_trust_of(card.companions, f"{folder / CARD_FILE}: companions", trust=trust)
        return learned_policy(card, network, scenario, name=folder.resolve().name, spec=spec)
    if is_model_spec(spec):
        from maestro_gym.agents.foreign.as_policy import load_model

        return load_model(spec, scenario, trust=trust)
    return load_policy(spec, scenario, trust=trust)


def _from_python(spec: str, scenario: Scenario) -> Policy:
    place, _, around = split_binding(spec)[0].partition("+")
    found = load_user_object(place)
    if not found.is_agent:
        return user_policy(rule_from(found), scenario, spec)
    if place != spec and not around:
        raise MaestroError(
            f"policy {spec!r}: {found.name} is an agent, which decides itself what to bind. Name the companions whose "
            f"form this is, as in {place}+maestro@{EARLY}, or leave @{EARLY} out."
        )
    around = spec.partition("+")[2]
    # Imported here: these bring the compiled observation along, which a rule does not need.
    from maestro_gym.agents.foreign.as_policy import agent_policy
    from maestro_gym.agents.foreign.python_file import agent_from

    agent, card = agent_from(found, around or None)
    if around:
        card = replace(card, name=f"{card.name}+{around}")
    return agent_policy(agent, card, scenario, spec=spec)


def learned_policy(
    card: PolicyCard, network: CandidateScorer | SlotMlp, scenario: Scenario, *, name: str, spec: str = ""
) -> Policy:
    """Complete a trained network with the rules of its companions.

    Args:
        card: What is known of it; code that its companions name is trusted.
        network: With its weights.
        scenario: What it shall run on.
        name: As in tables.
        spec: What loads it again in another process, empty for none.
    """
    # Imported here: it brings the compiled observation along, which reading a name does not need.
    from maestro_gym.agents.export import learned_rules

    policy = load_policy(card.companions, scenario, trust=True)
    for rule in learned_rules(card, network, scenario.world, name=name, source=spec or "training"):
        policy = with_rule(policy, rule, name, spec)
    return replace(policy, description=f"learned on {card.scenario}, companions {card.companions}")
