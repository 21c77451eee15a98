"""A learned policy whose network overflows answers with NaN: that is never taken for a choice."""

from pathlib import Path

import numpy as np
import pytest
import torch

from maestro_gym.agents.foreign.agent import best_legal
from maestro_gym.agents.load import learned_policy, load_any_policy
from maestro_gym.agents.networks import build_network
from maestro_gym.agents.observed_rule import encoder_fingerprint
from maestro_gym.agents.policy_file import PolicyCard
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.layout import TIER_SPECS
from maestro_gym.envs.sb3 import MaestroVecEnv
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario


def _overflowing(tier: str, network: str, candidates: int) -> tuple[PolicyCard, torch.nn.Module]:
    """A policy of finite weights, as loading demands, whose sums are infinity less infinity."""
    spec = TIER_SPECS[tier]
    features, context = len(spec.row_columns), len(spec.context_columns)
    encoder = encoder_fingerprint(spec, predictions=True)
    card = PolicyCard(tier, network, features, context, candidates, (16, 16), encoder=encoder, scenario="toy")
    made = build_network(network, candidates, features, context, card.hidden_sizes)
    with torch.no_grad():
        for layer in (module for module in made.modules() if isinstance(module, torch.nn.Linear)):
            layer.weight.zero_()
            if layer.bias is not None:
                layer.bias.fill_(3e38)
            if layer.out_features != card.hidden_sizes[0]:
                layer.weight.fill_(3e38)
                layer.weight[:, ::2] = -3e38
    return card, made


@pytest.mark.parametrize("tier", ["cluster", "joint"])
@pytest.mark.parametrize("network", ["scorer", "mlp"])
def test_nan_is_no_answer_and_is_counted(tier: str, network: str, scenario: Scenario) -> None:
    env = MaestroVecEnv(tier, 1, seed=3, scenario=scenario, split="test", evaluation=True)
    card, made = _overflowing(tier, network, int(env.action_space.n))
    observation = {name: torch.as_tensor(value) for name, value in env.reset().items()}
    with torch.no_grad():
        logits = made.forward_actor(observation)
    assert torch.isnan(logits[torch.as_tensor(env.action_masks())]).any(), "the network does overflow"
    result = run_episode(scenario, learned_policy(card, made, scenario, name="mine"), "test", 3, 0, samples=0)
    assert result.counters["invalid_actions"] > 0
    assert result.done in ("drained", "time limit")
    again = run_episode(scenario, learned_policy(card, made, scenario, name="mine"), "test", 3, 0, samples=0)
    assert np.array_equal(result.stages["finished_s"], again.stages["finished_s"], equal_nan=True)


def test_a_foreign_models_nan_is_named_with_its_file(scenario: Scenario, tmp_path: Path) -> None:
    class Nothing(torch.nn.Module):
        def forward(self, candidates: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
            return candidates.sum(-1) * float("nan")

    torch.jit.save(torch.jit.script(Nothing()), tmp_path / "nothing.pt")
    policy = load_any_policy(f"{tmp_path / 'nothing.pt'}:cluster", scenario, trust=True)
    with pytest.raises(MaestroError, match="the model scores a legal candidate with NaN"):
        run_episode(scenario, policy, "test", 3, samples=0)


def test_nan_of_an_illegal_candidate_says_nothing() -> None:
    assert best_legal(np.array([np.nan, 1.0, 2.0]), np.array([False, True, True])) == 2
