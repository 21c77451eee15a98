"""`Maestro/Live-*`: the spaces of the simulated environments, episodes that servers run, a policy that learns on."""

import time
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from maestro_gym.agents.fine_tune import fine_tune
from maestro_gym.agents.load import load_any_policy
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import load_network, save_policy
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.batch.own_rule import NO_ANSWER
from maestro_gym.envs.sb3 import BatchVecEnv
from maestro_gym.real_backend.envs.live_batch import LiveBatch, LiveEnvOptions
from maestro_gym.registration import env_id
from maestro_gym.state import DONE_DRAINED, DONE_TIME
from tests.envs.walks import TIERS, random_legal
from tests.real_backend.conftest import fleet_of
from tests.real_backend.contract import HANG_S
from tests.real_backend.policies import untrained_policy
from tests.real_backend.runs import assert_nothing_lost, log_of, short_scenario
from tests.real_backend.stand_in import StandIn


@pytest.fixture
def options(two_servers: list[StandIn], tmp_path: Path) -> dict[str, object]:
    """Arguments of an environment over two stand-ins."""
    fleet = fleet_of(two_servers)
    return {"fleet": fleet, "scenario": short_scenario(fleet, tmp_path), "folder": tmp_path / "episodes"}


@pytest.fixture
def cluster_env(options: dict[str, object]) -> Iterator[gymnasium.Env]:
    env = make("cluster", **options)
    yield env
    env.close()


def make(tier: str, **options: object) -> gymnasium.Env:
    return gymnasium.make(f"maestro_gym:{env_id(tier, live=True)}", **options).unwrapped


@pytest.mark.parametrize("tier", TIERS)
def test_a_live_episode_looks_like_a_simulated_one_and_finishes_every_workflow(
    tier: str, options: dict[str, object], tmp_path: Path
) -> None:
    env = make(tier, evaluation=True, **options)
    simulated_env = gymnasium.make(f"maestro_gym:{env_id(tier)}", scenario=str(tmp_path / "scenario.yaml")).unwrapped
    assert env.observation_space == simulated_env.observation_space
    assert env.action_space == simulated_env.action_space
    _, simulated = simulated_env.reset(seed=0)
    observation, info = env.reset(seed=0)
    steps, residence, terminated, truncated = 0, 0.0, False, False
    while not terminated and not truncated:
        assert observation in env.observation_space
        assert {name: type(value) for name, value in info.items()} == {n: type(v) for n, v in simulated.items()}
        observation, reward, terminated, truncated, info = env.step(random_legal(info["action_mask"], 0, steps))
        assert reward == pytest.approx(sum(info["reward_terms"].values()))
        assert info["dt_s"] >= 0.0
        assert not info["invalid_action"]
        residence += info["reward_terms"]["residence"]
        steps += 1
    assert terminated
    assert info["end_reason"] == DONE_DRAINED
    assert info["workflows_finished"] == info["workflows_arrived"] > 0
    controller = env.batch.controller
    assert_nothing_lost(controller)
    workflows = controller.fleet_state.view.workflows[0, : info["workflows_arrived"]]
    in_system_s = workflows["weight"] * (workflows["finished_s"] - workflows["arrival_s"])
    assert residence == pytest.approx(-in_system_s.sum(), rel=1e-6)
    decisions = [event for event in log_of(controller) if event.get("by") == "agent"]
    assert len(decisions) == steps
    assert {event["tier"] for event in decisions} <= ({tier} if tier != "joint" else {"global", "cluster", "node"})
    env.close()


def test_a_live_fleet_is_drawn_as_a_simulated_one_is(options: dict[str, object]) -> None:
    env = make("cluster", render_mode="rgb_array", **options)
    with pytest.raises(MaestroError, match="reset"):
        env.render()
    _, info = env.reset(seed=1)
    first = env.render()
    for step in range(5):
        *_, info = env.step(random_legal(info["action_mask"], 1, step))
    assert (env.render() != first).any()
    env.close()


def test_a_training_episode_is_cut_at_the_horizon_and_leaves_nothing_running(
    cluster_env: gymnasium.Env, two_servers: list[StandIn]
) -> None:
    _, info = cluster_env.reset(seed=1)
    steps, truncated, terminated = 0, False, False
    while not truncated:
        _, _, terminated, truncated, info = cluster_env.step(random_legal(info["action_mask"], 1, steps))
        steps += 1
        assert not terminated
    assert info["end_reason"] == DONE_TIME
    with pytest.raises(MaestroError, match=r"call reset\(\)"):
        cluster_env.step(0)
    _, info = cluster_env.reset()
    assert info["episode_index"] == 1
    _, info = cluster_env.reset(seed=1)
    assert info["episode_index"] == 0
    cluster_env.close()
    wait_until_idle(two_servers)
    assert len(list(cluster_env.batch.folder.glob("*/events.jsonl"))) == 3


def wait_until_idle(servers: list[StandIn]) -> None:
    """Wait for it, however busy the machine is; the deadline is only a guard against waiting for ever."""
    end_s = time.monotonic() + HANG_S
    while any(server.running or server.waiting for server in servers):
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_the_companions_own_answers_are_legal_actions(cluster_env: gymnasium.Env) -> None:
    _, info = cluster_env.reset(seed=2)
    for _ in range(30):
        answer = int(cluster_env.batch.own_answers()[0])
        assert answer != NO_ANSWER
        assert info["action_mask"][answer]
        *_, truncated, info = cluster_env.step(answer)
        if truncated:
            break


def test_an_illegal_action_is_replaced_and_said(options: dict[str, object]) -> None:
    env = make("node", **options)
    _, info = env.reset(seed=0)
    *_, info = env.step(int(np.flatnonzero(~info["action_mask"])[0]))
    assert info["invalid_action"]
    env.close()


def test_what_goes_wrong_at_the_beginning_is_told_in_the_agents_thread(
    options: dict[str, object], two_servers: list[StandIn]
) -> None:
    two_servers[0].stop()
    env = make("cluster", **options)
    with pytest.raises(MaestroError, match="fleet up"):
        env.reset(seed=0)
    env.close()
    with pytest.raises(MaestroError, match="Pass a scenario of this fleet"):
        make("cluster", **options | {"scenario": "toy"})


def test_a_policy_learns_on_and_the_result_is_a_policy(options: dict[str, object], tmp_path: Path) -> None:
    batch = LiveBatch("cluster", LiveEnvOptions(**options))  # type: ignore[arg-type]
    env = BatchVecEnv(batch, seed=0)
    start, out = tmp_path / "start", tmp_path / "tuned"
    untrained_policy(start, env)
    told: list[dict[str, float]] = []
    tuned = fine_tune(start, env, out, steps=64, rollout_steps=32, learning_rate=1e-3, tell=told.append)
    env.close()
    assert tuned.steps == 1064
    assert [row["steps"] for row in told] == [32, 64]
    before, after = load_network(start)[1].state_dict(), load_network(out)[1].state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(bool(torch.isfinite(value).all()) for value in after.values())
    policy = load_any_policy(str(out), batch.scenario)
    assert policy.name == "tuned"
    with pytest.raises(MaestroError, match="already holds a policy"):
        fine_tune(start, env, out, steps=8)


def test_a_policy_of_another_tier_is_refused_before_a_server_is_asked(
    options: dict[str, object], tmp_path: Path
) -> None:
    card = PolicyCard("global", "scorer", 3, 4, 5, (8,), discount_horizon_s=30.0)
    save_policy(tmp_path / "start", card, card.build())
    env = BatchVecEnv(LiveBatch("cluster", LiveEnvOptions(**options)))  # type: ignore[arg-type]
    with pytest.raises(MaestroError, match="5 candidates of 3 columns"):
        fine_tune(tmp_path / "start", env, tmp_path / "out", steps=8)
    assert not (tmp_path / "out").exists()
