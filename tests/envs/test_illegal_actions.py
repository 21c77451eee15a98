"""Illegal actions, in both modes; actions outside the space, in any."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from maestro_gym.core.errors import MaestroError
from tests.envs.walks import TIERS, make, make_vec, random_legal


@pytest.mark.parametrize("tier", TIERS)
def test_replace_does_the_lowest_legal_action_and_says_so(tier: str) -> None:
    env, twin = make(tier), make(tier)
    env.reset(seed=0)
    twin.reset(seed=0)
    replaced = 0
    for step in range(40):
        mask = env.action_masks()
        illegal = np.flatnonzero(~mask)
        action = int(illegal[step % len(illegal)]) if len(illegal) else 0
        ours = env.step(action)
        theirs = twin.step(int(np.flatnonzero(mask)[0]))
        assert ours[4]["invalid_action"] == (len(illegal) > 0)
        assert not theirs[4]["invalid_action"]
        replaced += ours[4]["invalid_action"]
        assert data_equivalence(ours[0], theirs[0], exact=True)
        if ours[2] or ours[3]:
            break
    assert env.batch.state.core.counters[0]["invalid_actions"] == replaced > 0


@pytest.mark.parametrize("tier", TIERS)
def test_raise_names_the_action_and_leaves_the_episode_as_it_was(tier: str) -> None:
    env = make(tier, illegal="raise")
    env.reset(seed=0)
    while env.action_masks().all():
        env.step(0)
    mask = env.action_masks()
    wrong = int(np.flatnonzero(~mask)[0])
    with pytest.raises(MaestroError, match=f"Action {wrong} .*illegal"):
        env.step(wrong)
    np.testing.assert_array_equal(env.action_masks(), mask)
    env.step(random_legal(mask, 0, 0))


@pytest.mark.parametrize("action", [-1, 10_000])
def test_an_action_outside_the_space_is_refused_in_any_mode(action: int) -> None:
    env = make("cluster")
    env.reset(seed=0)
    with pytest.raises(MaestroError, match="outside"):
        env.step(action)


def test_a_batch_refuses_actions_of_the_wrong_shape() -> None:
    envs = make_vec("cluster", 2)
    envs.reset(seed=0)
    with pytest.raises(MaestroError, match="shape"):
        envs.step(np.zeros(3, np.int64))
    with pytest.raises(MaestroError, match="integer"):
        envs.step(np.zeros(2))
