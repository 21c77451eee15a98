"""An agent from outside among the rules of its companions: a policy like any other, only slower."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace

import torch

from maestro_gym.agents.foreign.agent import Agent, AgentCard, tiers_of
from maestro_gym.agents.foreign.ask_python import AskPython
from maestro_gym.agents.foreign.model_spec import read_model_spec
from maestro_gym.agents.foreign.onnx_model import load_onnx
from maestro_gym.agents.foreign.sb3_model import load_sb3
from maestro_gym.agents.foreign.torch_script import load_torch_script
from maestro_gym.agents.observed_rule import answering, observed_rule
from maestro_gym.baselines.registry import demand_trust_of, load_policy, with_rule
from maestro_gym.core.worker_process import is_worker
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.outside import OutsideRule
from maestro_gym.scheduling.policy import Policy

FORMS: dict[str, Callable[..., tuple[Agent, AgentCard]]] = {
    ".zip": load_sb3,
    ".pt": load_torch_script,
    ".onnx": load_onnx,
}
"""What makes an agent of a file, by suffix: ``(ModelSpec, *, trust) -> (agent, card)``."""

_told: set[str] = set()


def load_model(spec: str, scenario: Scenario, *, trust: bool = False) -> Policy:
    """Make a policy of a model's file.

    Args:
        spec: As of `model_spec.read_model_spec`.
        scenario: What it shall run on.
        trust: Whether the user trusts files that could run code.

    Returns:
        The policy: the model drives its tier, the others follow its companions.

    Raises:
        MaestroError: There is no such file, it is not trusted, damaged, or does not fit the scenario.
    """
    model = read_model_spec(spec)
    if is_worker():
        # A comparison has a process for every core: threads of one would stand in the way of another.
        torch.set_num_threads(1)
    agent, card = FORMS[model.path.suffix](model, trust=trust)
    if model.companions is None:
        demand_trust_of(card.companions, f"{model.path}: companions", trust=trust)
    else:
        card = replace(card, name=f"{card.name}+{model.companions}")
    return agent_policy(agent, card, scenario, spec=spec)


def agent_policy(agent: Agent, card: AgentCard, scenario: Scenario, *, spec: str = "") -> Policy:
    """Complete an agent with the rules of its companions.

    Args:
        agent: Who decides in Python.
        card: What is known of it; code that its companions name is trusted.
        scenario: What it shall run on.
        spec: What loads it again in another process, empty for none.

    Returns:
        The policy. What goes wrong in the agent is raised after the episode.

    Raises:
        MaestroError: There are no such companions, or the agent does not fit the scenario.
    """
    policy = load_policy(card.companions, scenario, trust=True)
    layout = card.layout(scenario.world)
    asked = AskPython(agent, layout, card.name, card.file)
    function = observed_rule(layout, asked.choice())
    for tier in tiers_of(card.tier):
        rule = OutsideRule(
            name=card.name,
            tier=tier,
            information=card.information,
            description=card.description,
            source=card.file or "an agent in Python",
            choice="the lowest legal action in place of an illegal one",
            function=function,
            outside=asked,
        )
        policy = with_rule(policy, answering(rule, layout.spec), card.name, spec)
    _tell_slow(card.name)
    return replace(policy, description=f"{card.description}, companions {card.companions}")


def _tell_slow(name: str) -> None:
    """Say once on stderr that an agent is slow, in the process that the user started; MAESTRO_QUIET=1 is silent."""
    quiet = os.environ.get("MAESTRO_QUIET", "0") not in ("", "0")
    if name in _told or quiet or is_worker():
        return
    _told.add(name)
    print(f"{name} decides in Python, slower than a compiled rule (docs/own_agents.md).", file=sys.stderr, flush=True)
