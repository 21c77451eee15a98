"""The native vector under each of Gymnasium's autoreset modes, beside Gymnasium's own vector, and its wrappers."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from maestro_gym.core.errors import MaestroError
from tests.envs.test_vector import assert_same_infos, legal_actions
from tests.envs.walks import make, make_vec

MODES = list(AutoresetMode)


def _both(mode: AutoresetMode, num_envs: int = 3) -> tuple[gymnasium.vector.VectorEnv, gymnasium.vector.VectorEnv]:
    ours = make_vec("cluster", num_envs, autoreset_mode=mode)
    return ours, SyncVectorEnv([lambda: make("cluster")] * num_envs, autoreset_mode=mode)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_every_mode_does_what_gymnasiums_own_vectoriser_does(mode: AutoresetMode) -> None:
    ours, theirs = _both(mode)
    assert ours.metadata["autoreset_mode"] == mode
    observation, infos = ours.reset(seed=7)
    expected, expected_infos = theirs.reset(seed=7)
    ended = 0
    for step in range(300):
        assert data_equivalence(observation, expected, exact=True)
        assert infos.keys() == expected_infos.keys()
        assert_same_infos(infos, expected_infos)
        actions = legal_actions(ours.action_masks(), step)
        observation, rewards, terminated, truncated, infos = ours.step(actions)
        expected, their_rewards, their_terminated, their_truncated, expected_infos = theirs.step(actions)
        np.testing.assert_array_equal(rewards, their_rewards)
        np.testing.assert_array_equal(terminated, their_terminated)
        np.testing.assert_array_equal(truncated, their_truncated)
        over = terminated | truncated
        ended += int(over.sum())
        if mode == AutoresetMode.DISABLED and over.any():
            assert data_equivalence(observation, expected, exact=True)
            observation, infos = ours.reset(options={"reset_mask": over})
            expected, expected_infos = theirs.reset(options={"reset_mask": over.copy()})
        if ended >= 4:
            break
    assert ended >= 2


def test_some_environments_begin_anew_while_the_others_stay() -> None:
    envs = make_vec("cluster", 3)
    _, infos = envs.reset(seed=1)
    observation, *_, infos = envs.step(legal_actions(infos["action_mask"], 0))
    mask = np.array([False, True, False])
    again, infos = envs.reset(seed=[None, 1, None], options={"reset_mask": mask})
    for name, array in again.items():
        np.testing.assert_array_equal(array[[0, 2]], observation[name][[0, 2]])
    np.testing.assert_array_equal(infos["_sim_time_s"], mask)
    np.testing.assert_array_equal(envs.batch.episodes, [0, 0, 0])
    np.testing.assert_array_equal(envs.batch.seeds, [1, 1, 3])


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        ([True, False], TypeError),
        (np.array([1, 0]), TypeError),
        (np.array([True]), ValueError),
        (np.array([False, False]), ValueError),
    ],
)
def test_a_wrong_reset_mask_is_refused(mask: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="reset_mask"):
        make_vec("cluster", 2).reset(options={"reset_mask": mask})


def test_without_autoreset_an_ended_episode_is_not_stepped_on() -> None:
    envs = make_vec("cluster", 2, autoreset_mode="Disabled")
    envs.reset(seed=0)
    over = np.zeros(2, bool)
    while not over.any():
        _, _, terminated, truncated, _ = envs.step(legal_actions(envs.action_masks(), 0))
        over = terminated | truncated
    with pytest.raises(MaestroError, match="reset_mask"):
        envs.step(legal_actions(envs.action_masks(), 0))


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="NextStep"):
        make_vec("cluster", 1, autoreset_mode="next")


def test_observations_are_copies_unless_views_are_asked_for() -> None:
    envs, views = make_vec("cluster", 2), make_vec("cluster", 2, copy=False)
    kept, infos = envs.reset(seed=0)
    before = {name: array.copy() for name, array in kept.items()}
    shown, _ = views.reset(seed=0)
    for step in range(4):
        actions = legal_actions(infos["action_mask"], step)
        *_, infos = envs.step(actions)
        views.step(actions)
    assert data_equivalence(kept, before, exact=True)
    assert np.shares_memory(shown["context"], views.batch.buffers.context)


def test_attributes_and_methods_of_the_environments_are_reached() -> None:
    envs = make_vec("cluster", 2, render_mode="ansi")
    envs.reset(seed=4)
    np.testing.assert_array_equal(np.stack(envs.call("action_masks")), envs.action_masks())
    assert envs.get_attr("seed") == envs.np_random_seed == (4, 5)
    assert envs.get_attr("tier") == ("cluster", "cluster")
    assert envs.call("render") == envs.render()
    assert envs.get_attr("action_space") == (envs.single_action_space,) * 2
    envs.set_attr("lesson", [1, 2])
    assert envs.get_attr("lesson") == (1, 2)
    envs.set_attr("lesson", "hard")
    assert envs.get_attr("lesson") == ("hard", "hard")
    with pytest.raises(AttributeError, match="share"):
        envs.set_attr("options", None)
    with pytest.raises(AttributeError):
        envs.get_attr("nothing")
    with pytest.raises(ValueError, match="2 environments"):
        envs.set_attr("lesson", [1, 2, 3])


def test_every_array_of_the_infos_is_one_block_of_memory_for_other_array_libraries() -> None:
    envs = make_vec("cluster", 3)
    _, infos = envs.reset(seed=0)
    *_, later = envs.step(legal_actions(infos["action_mask"], 0))
    for found in (infos, later):
        arrays = [value for name, value in found.items() if name != "reward_terms"]
        assert all(array.flags.c_contiguous for array in [*arrays, *found["reward_terms"].values()])


@pytest.mark.parametrize(
    ("actions", "error"), [([0], ValueError), ([0, 0, 0], ValueError), (0, TypeError), ([0.5, 0.5], TypeError)]
)
def test_actions_of_another_number_or_type_are_refused_as_gymnasium_refuses_them(
    actions: object, error: type[Exception]
) -> None:
    envs = make_vec("cluster", 2)
    envs.reset(seed=0)
    with pytest.raises(error, match="one integer for each of the 2 environments"):
        envs.step(np.asarray(actions))


def test_seeds_stay_when_a_reset_brings_none() -> None:
    envs = make_vec("cluster", 3)
    envs.reset(seed=42)
    envs.reset()
    assert envs.np_random_seed == (42, 43, 44)
