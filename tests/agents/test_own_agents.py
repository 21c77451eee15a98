"""Agents in plain Python: they see what their environment shows, and decide in comparisons as they did there."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.agents.foreign.agent import AgentCard
from maestro_gym.agents.foreign.as_policy import agent_policy
from maestro_gym.agents.load import load_any_policy
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.sb3 import MaestroVecEnv
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario

SEED = 3
FILE = """
import numpy as np


class Base:
    tier = "cluster"

    def act(self, observation, mask):
        return int(np.flatnonzero(mask)[0])


class Illegal(Base):
    def act(self, observation, mask):
        return len(mask)


class Failing(Base):
    def act(self, observation, mask):
        return observation["nothing"]


class NoNumber(Base):
    def act(self, observation, mask):
        return "the first"


class Tierless:
    def act(self, observation, mask):
        return 0


class Needy(Base):
    def __init__(self, path):
        self.path = path


class Short(Base):
    def act(self, observation):
        return 0


instance = Base()


def function(observation, mask):
    return int(np.argmax(mask))


function.tier = "node"
function.companions = "fcfs"
"""


class Recorder:
    """Takes the legal candidate with the largest sum of its columns, and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, bytes, bytes]] = []
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def act(self, observation: dict[str, np.ndarray], mask: np.ndarray) -> int:
        assert {name: part.dtype.name for name, part in observation.items()} == {
            "candidates": "float32",
            "context": "float32",
        }
        self.seen.append((observation["candidates"].tobytes(), observation["context"].tobytes(), mask.tobytes()))
        return int(np.argmax(np.where(mask, observation["candidates"].sum(axis=1), -np.inf)))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mine.py"
    path.write_text(FILE, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "running the code")
        yield path


@pytest.mark.parametrize(("tier", "information"), [("cluster", "P"), ("cluster", "N"), ("joint", "P")])
def test_an_agent_sees_the_same_bytes_and_ends_the_same_as_in_its_environment(
    tier: str, information: str, scenario: Scenario
) -> None:
    stepped, compared = Recorder(), Recorder()
    env = MaestroVecEnv(tier, 1, seed=SEED, scenario=scenario, split="test", evaluation=True, information=information)
    observation, done = env.reset(), np.array([False])
    while not done[0]:
        row = stepped.act({name: part[0] for name, part in observation.items()}, env.action_masks()[0])
        observation, _, done, infos = env.step(np.array([row]))
    policy = agent_policy(compared, AgentCard("mine", tier, information), scenario)
    result = run_episode(scenario, policy, "test", SEED, samples=0)
    assert len(stepped.seen) > 20
    assert compared.seen == stepped.seen
    assert infos[0]["workflows_finished"] == result.counters["finished"]
    assert policy.cluster_rule.information == information


def test_an_agent_is_reset_at_the_beginning_of_every_episode(scenario: Scenario) -> None:
    agent = Recorder()
    policy = agent_policy(agent, AgentCard("mine", "cluster"), scenario)
    for _ in range(2):
        run_episode(scenario, policy, "test", SEED, samples=0)
    assert agent.resets == 2


def test_an_agent_takes_part_in_training_as_a_companion(scenario: Scenario) -> None:
    agent = Recorder()
    env = MaestroVecEnv(
        "node", 2, seed=0, scenario=scenario, companions=agent_policy(agent, AgentCard("mine", "cluster"), scenario)
    )
    env.reset()
    for _ in range(50):
        env.step(env.action_masks().argmax(axis=1))
    assert len(agent.seen) > 10


def test_an_illegal_answer_is_replaced_by_the_lowest_legal_one_and_counted(scenario: Scenario, file: Path) -> None:
    wrong = run_episode(scenario, load_any_policy(f"{file}:Illegal", scenario), "test", SEED, samples=0)
    lowest = run_episode(scenario, load_any_policy(f"{file}:Base", scenario), "test", SEED, samples=0)
    assert (wrong.stages == lowest.stages).all()
    assert wrong.counters["invalid_actions"] > 20
    assert lowest.counters["invalid_actions"] == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Failing", r"""mine\.py, line 19, `return observation\["nothing"\]`: KeyError: 'nothing'"""),
        ("NoNumber", "act returned 'the first', which is no row of a candidate"),
    ],
)
def test_an_exception_of_an_agent_is_raised_after_the_episode_with_its_line(
    name: str, message: str, scenario: Scenario, file: Path
) -> None:
    policy = load_any_policy(f"{file}:{name}", scenario)
    with pytest.raises(MaestroError, match=message):
        run_episode(scenario, policy, "test", SEED, samples=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Tierless", "has no tier"),
        ("Needy", "made without arguments"),
        ("Short", r"write it as act\(self, observation, mask\)"),
        ("Bse", "Did you mean `Base`"),
        ("Base+maestr", "maestro"),
    ],
)
def test_a_faulty_agent_is_a_users_error(name: str, message: str, scenario: Scenario, file: Path) -> None:
    with pytest.raises(MaestroError, match=message):
        load_any_policy(f"{file}:{name}", scenario)


def test_an_instance_and_a_function_are_agents_too(scenario: Scenario, file: Path) -> None:
    assert load_any_policy(f"{file}:instance", scenario).cluster_rule.name == "instance"
    policy = load_any_policy(f"{file}:function", scenario)
    assert policy.node_rule.name == "function"
    assert policy.cluster_rule.name == load_any_policy("fcfs", scenario).cluster_rule.name


def test_other_companions_are_named_behind_a_plus(scenario: Scenario, file: Path) -> None:
    policy = load_any_policy(f"{file}:Base+edf", scenario)
    assert policy.name == "Base+edf"
    assert policy.global_rule.name == load_any_policy("edf", scenario).global_rule.name


def test_slowness_is_told_once(
    scenario: Scenario, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAESTRO_QUIET", raising=False)
    for _ in range(2):
        agent_policy(Recorder(), AgentCard("the slow one", "cluster"), scenario)
    assert capsys.readouterr().err.count("the slow one decides in Python") == 1
