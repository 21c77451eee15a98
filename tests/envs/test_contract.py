"""What every registered environment owes to Gymnasium and Stable-Baselines3."""

import pickle
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import maestro_gym
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs import ActionMaskObservation
from maestro_gym.registration import env_id
from tests.envs.walks import SMALL, TIERS, make, random_legal, walk


@pytest.mark.parametrize("tier", TIERS)
def test_gymnasium_finds_nothing_to_complain_about(tier: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(tier))


@pytest.mark.parametrize("tier", TIERS)
def test_stable_baselines_finds_nothing_to_complain_about(tier: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # A matrix with a row for each action is meant: a scorer reads it row by row.
        warnings.filterwarnings("ignore", "Your observation candidates has an unconventional shape")
        check_env_sb3(make(tier))


@pytest.mark.parametrize("tier", TIERS)
def test_an_environment_survives_pickling_in_the_middle_of_an_episode(tier: str) -> None:
    env = make(tier)
    _, info = env.reset(seed=3)
    for step in range(5):
        info = env.step(random_legal(info["action_mask"], 3, step))[-1]
    twin = pickle.loads(pickle.dumps(env))
    for step in range(5):
        action = random_legal(env.action_masks(), 4, step)
        ours, theirs = env.step(action), twin.step(action)
        assert data_equivalence(ours, theirs, exact=True)
        if ours[2] or ours[3]:
            break


@pytest.mark.parametrize("tier", TIERS)
def test_a_spec_makes_the_same_environment_again(tier: str) -> None:
    env = make(tier, window=8)
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json())).unwrapped
    assert again.observation_space == env.observation_space
    assert data_equivalence(walk(env, 1, 5)[-1][0], walk(again, 1, 5)[-1][0], exact=True)


def test_a_wrapped_environment_has_a_spec_too() -> None:
    env = ActionMaskObservation(make("cluster"))
    again = gymnasium.make(env.spec)
    assert again.observation_space == env.observation_space


def test_a_fresh_worker_makes_an_environment_by_its_module_and_id() -> None:
    code = "import gymnasium; print(gymnasium.make('maestro_gym:Maestro/Cluster-v0').unwrapped.tier)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500, check=True)
    assert done.stdout.strip() == "cluster"


def test_registering_twice_changes_nothing() -> None:
    before = dict(gymnasium.registry)
    maestro_gym.register_envs()
    assert gymnasium.registry == before
    assert {env_id(tier) for tier in TIERS} <= set(before)


@pytest.mark.parametrize("tier", TIERS)
def test_info_has_the_same_keys_and_types_at_every_step(tier: str) -> None:
    infos = [info for *_, info in walk(make(tier), 0, 10)]
    assert "episode_metrics" not in infos[-1]
    shapes = {tuple((key, type(value)) for key, value in info.items()) for info in infos}
    assert len(shapes) == 1
    assert {tuple(info["reward_terms"]) for info in infos} == {tuple(infos[0]["reward_terms"])}


def test_reset_without_a_seed_goes_on_to_the_next_episode() -> None:
    env = make("cluster")
    first, _ = env.reset(seed=5)
    second, info = env.reset()
    assert info["episode_index"] == 1
    assert not data_equivalence(first, second)
    assert data_equivalence(env.reset(seed=5)[0], first, exact=True)


def test_the_first_reset_without_a_seed_draws_one() -> None:
    one, other = make("cluster"), make("cluster")
    one.reset()
    other.reset()
    assert one.batch.seeds[0] != other.batch.seeds[0]


def test_a_step_without_an_episode_is_refused() -> None:
    env = make("cluster")
    with pytest.raises(MaestroError, match="reset"):
        env.step(np.int64(0))
    while not walk(env, 0)[-1][2]:
        pass
    with pytest.raises(MaestroError, match="reset"):
        env.step(np.int64(0))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"scenrio": "toy"}, "scenario"),
        ({"split": "tset"}, "test"),
        ({"illegal": "ignore"}, "replace"),
        ({"information": "O"}, "'N'"),
        ({"window": 2}, "window"),
        ({"companions": "maestr"}, "maestro"),
        ({"scenario": "qick"}, "quick"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_right_ones(options: dict, says: str) -> None:
    with pytest.raises(MaestroError, match=says):
        make("cluster", **options)


def test_evaluation_ends_when_the_system_has_drained() -> None:
    env = make("cluster", scenario="toy", overrides=("horizon_s=5",), evaluation=True)
    env.reset(seed=0)
    terminated = truncated = False
    while not (terminated or truncated):
        _, _, terminated, truncated, info = env.step(random_legal(env.action_masks(), 0, 0))
    assert terminated
    assert info["workflows_finished"] == info["workflows_arrived"]


def test_training_is_truncated_at_the_first_decision_after_the_horizon() -> None:
    rows = walk(make("cluster", overrides=("horizon_s=12", "contention=low")), 0)
    times = [info["sim_time_s"] for *_, info in rows]
    assert times[-2] < 12.0 <= times[-1]
    assert rows[-1][3]["end_reason"] == 2


def test_the_text_picture_shows_every_node_and_what_is_asked() -> None:
    env = make("cluster", render_mode="ansi")
    env.reset(seed=0)
    picture = env.render()
    assert all(name in picture for name in env.batch.scenario.node_names)
    assert "must place stage" in picture
    assert make("cluster", overrides=SMALL).render() is None
