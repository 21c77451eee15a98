"""Several agents that share one fleet: PettingZoo's own tests, and the joint environment underneath."""

import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from pettingzoo.test import api_test, render_test, seed_test
from pettingzoo.test.state_test import test_state as state_check
from pettingzoo.test.state_test import test_state_space as state_space_check
from pettingzoo.utils import aec_to_parallel

from maestro_gym.core.errors import MaestroError
from maestro_gym.envs import pettingzoo
from maestro_gym.envs.observation.layout import TIER_SPECS
from maestro_gym.scheduling.tiers import TIER_NAMES
from tests.envs.walks import SMALL, make, random_legal

KINDS = ("tiers", "nodes")


def _make(kind: str, **options: object) -> pettingzoo.MaestroAEC:
    return pettingzoo.MaestroAEC(kind, **{"overrides": SMALL, **options})


def _play(env: pettingzoo.MaestroAEC, seed: int, see: Callable[[str, tuple], None] | None = None) -> None:
    """One episode of random legal actions, with what `last` says shown at each turn."""
    env.reset(seed=seed)
    for turn, agent in enumerate(env.agent_iter()):
        last = env.last()
        if see:
            see(agent, last)
        env.step(None if last[2] or last[3] else random_legal(last[0]["action_mask"], seed, turn))


# Agents differ from each other, and an observation is a dictionary that holds the mask: both are meant.
MEANT = (
    "Agents have different observation space sizes",
    "Observations are different shapes",
    "Observation is not a NumPy array",
    "Observation space for each agent probably should be",
    "We recommend agents to be named",
)


@pytest.mark.parametrize("observation", ["dict", "flat"])
@pytest.mark.parametrize("kind", KINDS)
def test_pettingzoo_finds_nothing_else_to_complain_about(kind: str, observation: str) -> None:
    env = pettingzoo.env(agents=kind, observation=observation, overrides=SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for message in MEANT:
            warnings.filterwarnings("ignore", message)
        api_test(env, num_cycles=1000)
        state_space_check(env)
        state_check(env, num_cycles=20)


@pytest.mark.parametrize("kind", KINDS)
def test_pettingzoo_finds_the_same_seed_to_give_the_same_episode(kind: str) -> None:
    seed_test(lambda: pettingzoo.env(agents=kind, overrides=SMALL), num_cycles=200)


@pytest.mark.parametrize("kind", KINDS)
def test_an_episode_is_that_of_the_joint_environment_with_the_same_seed(kind: str) -> None:
    env, joint = _make(kind), make("joint")
    env.reset(seed=3)
    _, info = joint.reset(seed=3)
    over, turn = False, 0
    while not over:
        action = random_legal(info["action_mask"], 3, turn)
        agent = env.agent_selection
        assert agent.partition("_")[0] == TIER_NAMES[info["tier"]]
        assert kind == "tiers" or agent == "global" or agent.endswith(f"_{info['place']}")
        # The own actions of an agent are a block of the joint ones: the same rows, in the same order.
        legal = np.flatnonzero(env.observe(agent)["action_mask"])
        env.step(int(legal[np.flatnonzero(info["action_mask"]).tolist().index(action)]))
        _, reward, terminated, truncated, info = joint.step(np.int64(action))
        over, turn = terminated or truncated, turn + 1
        assert set(env.rewards.values()) == {reward}
        assert set(env.terminations.values()) == {terminated}
        assert set(env.truncations.values()) == {truncated}
        assert env.infos["global"]["sim_time_s"] == info["sim_time_s"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tier", TIER_NAMES)
def test_an_agent_sees_byte_for_byte_what_the_environment_of_its_tier_alone_shows(tier: str, kind: str) -> None:
    # The agents of the other tiers do what the rules do that the tier's environment has in their place.
    env, alone = _make(kind), make(tier)
    env.reset(seed=1)
    observation, info = alone.reset(seed=1)
    compared = 0
    for turn, agent in enumerate(env.agent_iter()):
        own, _, _, truncated, _ = env.last()
        if truncated:
            break
        if agent.partition("_")[0] != tier:
            env.step(env.own_answer())
            continue
        actions = len(own["action_mask"])
        assert own["observation"]["candidates"].tobytes() == observation["candidates"][:actions].tobytes()
        assert own["observation"]["context"].tobytes() == observation["context"].tobytes()
        assert own["action_mask"].tobytes() == info["action_mask"][:actions].tobytes()
        # A router of a cluster that is smaller than the largest leaves out rows that are never legal.
        assert not info["action_mask"][actions:].any()
        compared += 1
        action = random_legal(own["action_mask"], 1, turn)
        env.step(action)
        observation, _, _, _, info = alone.step(np.int64(action))
    assert compared > 20


def test_a_column_of_an_agent_is_the_joint_column_of_that_name() -> None:
    env = _make("tiers")
    joint = {name: [c.name for c in getattr(TIER_SPECS["joint"], f"{name}_columns")] for name in ("row", "context")}

    def see(agent: str, last: tuple) -> None:
        own, over = last[0]["observation"], last[2] or last[3]
        if over:
            return
        whole = env.joint.batch.observation()
        first = env.joint.batch.layout.record[0][f"rows_{agent}"]
        for i, column in enumerate(TIER_SPECS[agent].row_columns):
            there = whole["candidates"][0, first:, joint["row"].index(column.name)][: len(own["candidates"])]
            np.testing.assert_array_equal(own["candidates"][:, i], there, column.name)
        for i, column in enumerate(TIER_SPECS[agent].context_columns):
            assert own["context"][i] == whole["context"][0, joint["context"].index(column.name)], column.name

    _play(env, 0, see)


def test_every_agent_has_a_space_of_its_own_size() -> None:
    # Two clusters, of two nodes and of one, so that their routers differ.
    near = "{name: near, hosts: [{count: 1, host: gpu2-512, nodes: 2, gpu: A100-80GB}]}"
    far = "{name: far, hosts: [{count: 1, host: gpu2-512, nodes: 1, gpu: A100-80GB}]}"
    latency_s = "fleet.latency_s=[[0.0005, 0.04], [0.04, 0.0005]]"
    fleet = (f"fleet.clusters=[{near}, {far}]", latency_s)
    env = _make("nodes", overrides=(*SMALL, *fleet), window=8)
    sizes = {agent: int(env.action_space(agent).n) for agent in env.possible_agents}
    world = env.joint.batch.scenario.world
    node = 1 + 4 * 8 + 2 * len(world.models)
    assert sizes == {
        "global": 1 + 8 * 2,
        "cluster_0": 2,
        "cluster_1": 1,
        "node_0": node,
        "node_1": node,
        "node_2": node,
    }
    for agent, size in sizes.items():
        spec = TIER_SPECS[agent.partition("_")[0]]
        space = env.observation_space(agent)
        assert space["observation"]["candidates"].shape == (size, len(spec.row_columns))
        assert space["observation"]["context"].shape == (len(spec.context_columns),)
        assert space["action_mask"].shape == (size,)


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_not_asked_sees_the_fleet_and_no_decision(kind: str) -> None:
    env = _make(kind)

    def see(agent: str, last: tuple) -> None:
        for other in set(env.agents) - {agent}:
            seen = env.observe(other)
            assert env.observation_space(other).contains(seen)
            assert not seen["action_mask"].any()
            assert not seen["observation"]["candidates"].any()
            columns = [column.name for column in TIER_SPECS[other.partition("_")[0]].context_columns]
            fleet = np.char.startswith(columns, "fleet")
            context, joint = seen["observation"]["context"], env.joint.batch.observation()["context"][0]
            np.testing.assert_array_equal(context[fleet], joint[: fleet.sum()])
            assert not context[~fleet].any()

    _play(env, 2, see)


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_is_told_what_the_team_earned_since_its_own_last_decision_and_how_long_it_took(kind: str) -> None:
    env = _make(kind)
    env.reset(seed=4)
    earned, waited_s = dict.fromkeys(env.agents, 0.0), dict.fromkeys(env.agents, 0.0)
    now_s = env.infos["global"]["sim_time_s"]
    for turn, agent in enumerate(env.agent_iter()):
        observation, reward, terminated, truncated, info = env.last()
        assert reward == earned[agent]
        assert info["dt_s"] == pytest.approx(waited_s[agent], abs=1e-9)
        if terminated or truncated:
            env.step(None)
            continue
        env.step(random_legal(observation["action_mask"], 4, turn))
        earned[agent], waited_s[agent] = 0.0, 0.0
        passed_s = env.infos[agent]["sim_time_s"] - now_s
        now_s += passed_s
        for other in env.agents:
            earned[other] += env.rewards[other]
            waited_s[other] += passed_s


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_the_same_in_observation_and_info(kind: str) -> None:
    def see(agent: str, last: tuple) -> None:
        np.testing.assert_array_equal(last[0]["action_mask"], last[4]["action_mask"])

    _play(_make(kind), 0, see)


def test_agents_drain_the_system_together_when_evaluated() -> None:
    env = _make("nodes", scenario="toy", overrides=("horizon_s=5",), evaluation=True)
    env.reset(seed=0)
    agents = set(env.agents)
    while not any(env.terminations.values()):
        assert not any(env.truncations.values())
        env.step(env.own_answer())
    assert env.terminations == dict.fromkeys(agents, True)
    assert env.infos["global"]["workflows_finished"] == env.infos["global"]["workflows_arrived"]
    assert {env.last()[0]["action_mask"].any() for _ in env.agents} == {False}
    for _ in agents:
        env.step(None)
    assert env.agents == []


def test_an_environment_survives_pickling_in_the_middle_of_an_episode() -> None:
    env = _make("nodes")
    env.reset(seed=5)
    for turn in range(40):
        env.step(random_legal(env.last()[0]["action_mask"], 5, turn))
    twin = pickle.loads(pickle.dumps(env))
    for turn in range(20):
        assert env.agent_selection == twin.agent_selection
        assert data_equivalence(env.last(), twin.last(), exact=True)
        action = random_legal(env.last()[0]["action_mask"], 6, turn)
        env.step(action)
        twin.step(action)


def test_there_is_no_parallel_form() -> None:
    with pytest.raises(AssertionError, match="is_parallelizable"):
        aec_to_parallel(pettingzoo.env(overrides=SMALL))


def test_pettingzoo_finds_every_render_mode_to_work() -> None:
    render_test(lambda render_mode: pettingzoo.env(overrides=SMALL, render_mode=render_mode))


def test_the_picture_is_that_of_the_joint_environment() -> None:
    env = pettingzoo.env(overrides=SMALL, render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == env.unwrapped.joint.render()
    assert all(name in env.render() for name in env.unwrapped.joint.batch.scenario.node_names)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"agents": "hosts"}, "'nodes'"),
        ({"observation": "vector"}, "'flat'"),
        ({"scenrio": "toy"}, "scenario"),
        ({"render_mode": "text"}, "ansi"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_right_ones(options: dict[str, Any], says: str) -> None:
    with pytest.raises(MaestroError, match=says):
        pettingzoo.env(**options)


def test_an_action_of_another_agent_is_refused() -> None:
    env = _make("nodes")
    with pytest.raises(MaestroError, match="reset"):
        env.step(0)
    env.reset(seed=0)
    for wrong in (-1, int(env.action_space("global").n), None, 0.5):
        with pytest.raises(MaestroError, match=r"of global is outside Discrete"):
            env.step(wrong)


def test_an_illegal_action_is_replaced_or_refused_by_the_agents_own_numbers() -> None:
    env, strict = _make("nodes"), _make("nodes", illegal="raise")
    for each in (env, strict):
        each.reset(seed=0)
        while not each.agent_selection.startswith("node"):
            each.step(each.own_answer())
    illegal = int(np.flatnonzero(env.last()[0]["action_mask"] == 0)[0])
    with pytest.raises(MaestroError, match=f"Action {illegal} of {strict.agent_selection} is illegal"):
        strict.step(illegal)
    env.step(illegal)
    assert env.infos["global"]["invalid_action"]


def test_without_pettingzoo_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['pettingzoo'] = None; import maestro_gym.envs.pettingzoo"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "MaestroError: maestro_gym.envs.pettingzoo needs PettingZoo" in done.stderr
    assert "pip install 'maestro-gym[pettingzoo]'" in done.stderr


def test_the_example_of_the_docs_runs() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "pettingzoo.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/pettingzoo.md", "exec"), names)
    assert names["env"].agents == []
