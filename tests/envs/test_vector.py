"""The native batch: the same as single environments, to the bit, whatever its size or threads."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.threads import set_thread_count
from maestro_gym.envs.batch.simulated import PARALLEL_FROM
from maestro_gym.envs.sb3 import MaestroVecEnv
from maestro_gym.registration import env_id
from tests.envs.walks import SMALL, TIERS, make, make_vec, random_legal


def legal_actions(masks: np.ndarray, step: int) -> np.ndarray:
    return np.array([random_legal(mask, e, step) for e, mask in enumerate(masks)])


@pytest.mark.parametrize("tier", TIERS)
def test_a_batch_does_what_gymnasiums_own_vectoriser_does(tier: str) -> None:
    ours = make_vec(tier, 3)
    theirs = SyncVectorEnv([lambda: make(tier)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.action_space == theirs.action_space
    observation, infos = ours.reset(seed=7)
    expected, expected_infos = theirs.reset(seed=7)
    ended = 0
    for step in range(300):
        assert data_equivalence(observation, expected, exact=True)
        assert infos.keys() == expected_infos.keys()
        assert_same_infos(infos, expected_infos)
        actions = legal_actions(infos["action_mask"], step)
        observation, rewards, terminated, truncated, infos = ours.step(actions)
        expected, expected_rewards, expected_terminated, expected_truncated, expected_infos = theirs.step(actions)
        np.testing.assert_array_equal(rewards, expected_rewards)
        np.testing.assert_array_equal(terminated, expected_terminated)
        np.testing.assert_array_equal(truncated, expected_truncated)
        ended += int((terminated | truncated).sum())
        if ended >= 4:
            break
    assert ended >= 2


def assert_same_infos(ours: dict, theirs: dict) -> None:
    for key, value in ours.items():
        if isinstance(value, dict):
            assert_same_infos(value, theirs[key])
        elif value.dtype == object:
            for one, other in zip(value, theirs[key], strict=True):
                assert (one is None) == (other is None)
                assert one is None or data_equivalence(one, other, exact=True)
        else:
            np.testing.assert_array_equal(value, theirs[key], err_msg=key)


def _rollout(num_envs: int, steps: int, tier: str = "joint") -> list[list[np.ndarray]]:
    envs = make_vec(tier, num_envs)
    observation, infos = envs.reset(seed=11)
    rows = []
    for step in range(steps):
        rows.append([array.copy() for array in observation.values()] + [infos["action_mask"], infos["sim_time_s"]])
        observation, rewards, _, _, infos = envs.step(legal_actions(infos["action_mask"], step))
        rows[-1].append(rewards)
    return rows


def test_results_do_not_depend_on_the_size_of_the_batch_or_the_threads() -> None:
    steps = 60
    alone, some = _rollout(1, steps), _rollout(16, steps)
    many = []
    try:
        for threads in (1, 3):
            set_thread_count(threads)
            many.append(_rollout(64, steps))
    finally:
        set_thread_count(None)
    assert PARALLEL_FROM <= 64
    for step in range(steps):
        for one, sixteen, first, second in zip(alone[step], some[step], many[0][step], many[1][step], strict=True):
            np.testing.assert_array_equal(one, sixteen[:1])
            np.testing.assert_array_equal(sixteen, first[:16])
            np.testing.assert_array_equal(first, second)


def test_a_view_of_an_observation_outlives_the_next_step() -> None:
    envs = make_vec("cluster", 2, copy=False)
    first, infos = envs.reset(seed=0)
    kept = first["candidates"].copy()
    second = envs.step(legal_actions(infos["action_mask"], 0))[0]
    np.testing.assert_array_equal(first["candidates"], kept)
    assert not np.shares_memory(first["candidates"], second["candidates"])


def test_a_batch_takes_one_seed_or_a_list() -> None:
    by_first, by_list = make_vec("cluster", 2), make_vec("cluster", 2)
    one, _ = by_first.reset(seed=3)
    other, _ = by_list.reset(seed=[3, 4])
    assert data_equivalence(one, other, exact=True)
    with pytest.raises(MaestroError, match="seeds"):
        by_list.reset(seed=[1, 2, 3])


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_every_environment_of_a_batch_renders_as_it_would_alone(mode: str) -> None:
    envs, alone = make_vec("cluster", 2, render_mode=mode), make("cluster", render_mode=mode)
    adapted = MaestroVecEnv("cluster", 2, seed=0, render_mode=mode, overrides=SMALL)
    _, infos = envs.reset(seed=0)
    alone.reset(seed=1)
    adapted.reset()
    for step in range(20):
        actions = legal_actions(infos["action_mask"], step)
        *_, infos = envs.step(actions)
        alone.step(actions[1])
        adapted.step(actions)
    expected = alone.render()
    for pictures in (envs.render(), envs.call("render"), adapted.env_method("render")):
        assert len(pictures) == 2
        np.testing.assert_array_equal(pictures[1], expected)
    assert [image is None for image in adapted.get_images()] == [mode == "ansi"] * 2


@pytest.mark.parametrize("tier", TIERS)
def test_the_stable_baselines_adapter_runs_the_same_batch(tier: str) -> None:
    theirs = make_vec(tier, 3)
    ours = MaestroVecEnv(env_id(tier), 3, seed=7, overrides=SMALL)
    observation = ours.reset()
    expected, infos = theirs.reset(seed=7)
    returns, lengths = np.zeros(3), np.zeros(3, int)
    ended = 0
    for step in range(300):
        assert data_equivalence(observation, expected, exact=True)
        masks = np.stack(ours.env_method("action_masks"))
        np.testing.assert_array_equal(masks, infos["action_mask"])
        actions = legal_actions(masks, step)
        observation, rewards, dones, sb3_infos = ours.step(actions)
        expected, expected_rewards, terminated, truncated, infos = theirs.step(actions)
        returns += expected_rewards
        lengths += 1
        np.testing.assert_array_equal(rewards, expected_rewards.astype(np.float32))
        np.testing.assert_array_equal(dones, terminated | truncated)
        final_dt_s = infos.get("final_info", {}).get("dt_s", infos["dt_s"])
        np.testing.assert_array_equal(ours.last_dt_s, np.where(dones, final_dt_s, infos["dt_s"]))
        for e, info in enumerate(sb3_infos):
            if not dones[e]:
                assert info == {}
                continue
            assert data_equivalence(info["terminal_observation"], infos["final_obs"][e], exact=True)
            assert info["TimeLimit.truncated"] == truncated[e]
            assert info["episode"]["r"] == pytest.approx(returns[e])
            assert info["episode"]["l"] == lengths[e]
            assert sum(info["reward_terms"].values()) == pytest.approx(returns[e])
            returns[e], lengths[e] = 0.0, 0
            ended += 1
        if ended >= 3:
            break
    assert ended >= 2


def test_the_adapter_answers_what_maskable_ppo_asks() -> None:
    envs = MaestroVecEnv("cluster", 2, seed=0, overrides=SMALL)
    assert envs.has_attr("action_masks")
    assert not envs.has_attr("nothing")
    assert envs.get_attr("render_mode") == [None, None]
    assert MaestroVecEnv("cluster", 1, render_mode="ansi").get_attr("render_mode") == ["ansi"]
    assert envs.env_is_wrapped(type(None)) == [False, False]
    with pytest.raises(AttributeError):
        envs.get_attr("nothing")
    with pytest.raises(MaestroError, match="tiers"):
        MaestroVecEnv("clutser", 1)
