"""Models of Stable-Baselines3 and TorchScript as policies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import QRDQN, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO

from maestro_gym.agents.foreign.sb3_model import algorithm_of
from maestro_gym.agents.load import PolicyLoader, load_any_policy
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.sb3 import MaestroVecEnv
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.outside import OutsideRule
from maestro_gym.scheduling.policy import Rule

ALGORITHMS: dict[str, Any] = {
    "PPO": lambda env: PPO("MultiInputPolicy", env, n_steps=32, batch_size=32, seed=0, device="cpu"),
    "A2C": lambda env: A2C("MultiInputPolicy", env, seed=0, device="cpu"),
    "DQN": lambda env: DQN("MultiInputPolicy", env, buffer_size=500, learning_starts=64, seed=0, device="cpu"),
    "QRDQN": lambda env: QRDQN("MultiInputPolicy", env, buffer_size=500, learning_starts=64, seed=0, device="cpu"),
    "MaskablePPO": lambda env: MaskablePPO("MultiInputPolicy", env, n_steps=32, batch_size=32, seed=0, device="cpu"),
    "RecurrentPPO": lambda env: RecurrentPPO(
        "MultiInputLstmPolicy", env, n_steps=32, batch_size=32, seed=0, device="cpu"
    ),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks are slow on many threads of a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_model_decides_as_it_predicts_wherever_its_own_choice_is_legal(
    name: str, scenario: Scenario, tmp_path: Path
) -> None:
    env = MaestroVecEnv("cluster", 1, seed=3, scenario=scenario, split="test", evaluation=True)
    model = ALGORITHMS[name](env)
    model.learn(128)
    model.save(tmp_path / "mine.zip")
    assert algorithm_of(tmp_path / "mine.zip") == name
    policy = load_any_policy(str(tmp_path / "mine.zip"), scenario, trust=True)
    answers = _recorded(policy.cluster_rule)
    result = run_episode(scenario, policy, "test", 3, samples=0)
    assert result.counters["invalid_actions"] == 0
    state, legal_choices = None, 0
    for t, (observation, mask, row) in enumerate(answers):
        masks = {"action_masks": mask} if name == "MaskablePPO" else {}
        recurrent = {"state": state, "episode_start": np.array([t == 0])} if name == "RecurrentPPO" else {}
        own, state = model.predict(observation, deterministic=True, **masks, **recurrent)
        assert mask[row]
        if mask[own]:
            legal_choices += 1
            assert own == row
    assert legal_choices > 10


def _recorded(rule: Rule) -> list[tuple[dict[str, np.ndarray], np.ndarray, int]]:
    """What the agent behind a rule is asked from now on, and what it answers."""
    assert isinstance(rule, OutsideRule)
    agent, answers = rule.outside._agent, []
    act = agent.act

    def recording(observation: dict[str, np.ndarray], mask: np.ndarray) -> int:
        row = act(observation, mask)
        answers.append((observation, mask, row))
        return row

    agent.act = recording
    return answers


def test_a_model_is_not_loaded_without_trust(scenario: Scenario, tmp_path: Path) -> None:
    env = MaestroVecEnv("cluster", 1, seed=0, scenario=scenario)
    A2C("MultiInputPolicy", env, device="cpu").save(tmp_path / "mine.zip")
    with pytest.raises(MaestroError, match="--trust"):
        load_any_policy(str(tmp_path / "mine.zip"), scenario)
    assert PolicyLoader(True)(str(tmp_path / "mine.zip"), scenario).name == "mine"
    # Worker processes keep loaded policies by their loader.
    assert PolicyLoader(True) == PolicyLoader(True)


def test_a_model_of_another_tier_or_size_is_refused(scenario: Scenario, tmp_path: Path) -> None:
    env = MaestroVecEnv("cluster", 1, seed=0, scenario=scenario)
    A2C("MultiInputPolicy", env, device="cpu").save(tmp_path / "mine.zip")
    with pytest.raises(MaestroError, match="not the observation of the node tier"):
        load_any_policy(f"{tmp_path}/mine.zip:node", scenario, trust=True)
    with pytest.raises(MaestroError, match="chooses among 2 candidates"):
        load_any_policy(f"{tmp_path}/mine.zip", Scenario.load("quick"), trust=True)


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere.zip", "there is no file"),
        ("broken.zip", "no model of Stable-Baselines3"),
        ("broken.pt", "Name it"),
        ("broken.pt:cluster", "no TorchScript"),
        ("broken.zip:clutser", "Did you mean `cluster`"),
    ],
)
def test_a_file_that_is_no_model_is_a_users_error(spec: str, message: str, scenario: Scenario, tmp_path: Path) -> None:
    for name in ("broken.zip", "broken.pt"):
        (tmp_path / name).write_text("nothing", encoding="utf-8")
    with pytest.raises(MaestroError, match=message):
        load_any_policy(f"{tmp_path}/{spec}", scenario, trust=True)


class Nearest(torch.nn.Module):
    """The candidate of the largest sum, with or without the mask."""

    def forward(self, candidates: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        return candidates.sum(dim=2)


class Masked(torch.nn.Module):
    def forward(self, candidates: torch.Tensor, context: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.where(mask, candidates.sum(dim=2), -1.0)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_torchscript_decides_with_and_without_a_mask(scenario: Scenario, tmp_path: Path) -> None:
    for module in (Nearest(), Masked()):
        torch.jit.script(module).save(tmp_path / f"{type(module).__name__}.pt")
    with pytest.raises(MaestroError, match="--trust"):
        load_any_policy(f"{tmp_path}/Nearest.pt:cluster", scenario)
    results = [
        run_episode(
            scenario, load_any_policy(f"{tmp_path}/{name}.pt:cluster", scenario, trust=True), "test", 0, samples=0
        )
        for name in ("Nearest", "Masked")
    ]
    assert results[0].counters["finished"] > 10
    assert (results[0].stages == results[1].stages).all()
