from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from maestro_gym.agents.load import learned_policy, load_any_policy
from maestro_gym.agents.networks import build_network
from maestro_gym.agents.observed_rule import encoder_fingerprint
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import CARD_FILE, save_policy
from maestro_gym.baselines import load_policy
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.layout import TIER_SPECS
from maestro_gym.envs.sb3 import MaestroVecEnv
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.tiers import TIER_NAMES


def _card(tier: str, candidates: int, network: str = "scorer") -> PolicyCard:
    spec = TIER_SPECS[tier]
    return PolicyCard(
        tier=tier,
        network=network,
        num_features=len(spec.row_columns),
        num_context=len(spec.context_columns),
        num_candidates=candidates,
        hidden_sizes=(16, 16),
        encoder=encoder_fingerprint(spec, predictions=True),
        scenario="toy",
    )


@pytest.mark.parametrize("tier", ["cluster", "joint"])
def test_a_learned_rule_decides_in_the_driver_as_its_network_does_in_the_environment(
    tier: str, scenario: Scenario
) -> None:
    env = MaestroVecEnv(tier, 1, seed=3, scenario=scenario, split="test", evaluation=True)
    card = _card(tier, int(env.action_space.n))
    torch.manual_seed(0)
    network = build_network(card.network, card.num_candidates, card.num_features, card.num_context, card.hidden_sizes)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    observation, done, taken = env.reset(), np.array([False]), 0
    while not done[0]:
        stages = np.array(env.batch.state.visible.stages[0])
        with torch.no_grad():
            logits = network.forward_actor({name: torch.as_tensor(value) for name, value in observation.items()})
        logits = logits.where(torch.as_tensor(env.action_masks()), -torch.inf)
        observation, _, done, infos = env.step(logits.argmax(1).numpy())
        taken += 1
    result = run_episode(scenario, learned_policy(card, network, scenario, name="mine"), "test", 3, 0, samples=0)
    assert taken > 20
    assert infos[0]["workflows_finished"] == result.counters["finished"]
    # The environment is at its next episode by now; what stood there one decision earlier must agree.
    stages = stages[: len(result.stages)]
    sent = np.isfinite(stages["sent_s"]) & (stages["sent_s"] > 0)
    assert sent.sum() > 10
    np.testing.assert_array_equal(stages["sent_s"][sent], result.stages["sent_s"][sent])
    routed = sent & (stages["node"] >= 0)
    np.testing.assert_array_equal(stages["node"][routed], result.stages["node"][routed])


def test_a_run_folder_is_a_policy_that_drives_its_tier_beside_its_companions(
    scenario: Scenario, tmp_path: Path
) -> None:
    card = _card("cluster", 2)
    save_policy(tmp_path / "mine", card, card.build())
    policy = load_any_policy(str(tmp_path / "mine"), scenario)
    maestro = load_policy("maestro", scenario)
    assert (policy.name, policy.cluster_rule.name, policy.information) == ("mine", "mine", "P")
    assert policy.global_rule.name == maestro.global_rule.name
    assert policy.node_rule.name == maestro.node_rule.name
    assert load_any_policy("edf", scenario).name == "edf"


def test_a_joint_policy_drives_all_tiers(scenario: Scenario) -> None:
    card = _card("joint", 9)
    policy = learned_policy(card, card.build(), scenario, name="all")
    assert [rule.name for rule in policy.rules[: len(TIER_NAMES)]] == ["all"] * len(TIER_NAMES)


def test_an_mlp_refuses_a_fleet_of_another_size(scenario: Scenario) -> None:
    card = _card("cluster", 5, network="mlp")
    with pytest.raises(MaestroError, match="mlp over 5 slots, this scenario has 2"):
        learned_policy(card, card.build(), scenario, name="mine")


def test_a_policy_of_another_observation_is_refused(scenario: Scenario, tmp_path: Path) -> None:
    card = _card("cluster", 2)
    save_policy(tmp_path, card, card.build())
    (tmp_path / CARD_FILE).write_text(json.dumps(asdict(card) | {"encoder": "cluster-P-000000000000"}))
    with pytest.raises(MaestroError, match="learned to read the observation"):
        load_any_policy(str(tmp_path), scenario)


def test_a_path_that_is_no_folder_is_named(scenario: Scenario) -> None:
    with pytest.raises(MaestroError, match="There is no run folder"):
        load_any_policy("runs/nowhere", scenario)
