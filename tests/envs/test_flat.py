"""An observation as one vector: every entry named, and the same in one environment as in a batch."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from maestro_gym.envs.flat import flat_columns, flat_space, flatten
from maestro_gym.envs.observation.layout import TIER_SPECS
from maestro_gym.envs.sb3 import MaestroVecEnv
from tests.envs.walks import SMALL, TIERS, make, make_vec, random_legal, walk


@pytest.mark.parametrize("tier", TIERS)
def test_every_entry_has_the_value_that_its_name_says(tier: str) -> None:
    env = make(tier)
    layout, spec = env.batch.layout, TIER_SPECS[tier]
    names = flat_columns(layout)
    assert len(set(names)) == len(names)
    observation, _, _, info = walk(env, 0, 30)[-1]
    value = dict(zip(names, flatten(observation, info["action_mask"]).tolist(), strict=True))
    for i, column in enumerate(spec.context_columns):
        assert value[f"context.{column.name}"] == observation["context"][i]
    for action in range(layout.num_actions):
        assert value[f"mask[{action}]"] == info["action_mask"][action]
        for i, column in enumerate(spec.row_columns):
            assert value[f"candidates[{action}].{column.name}"] == observation["candidates"][action, i]


@pytest.mark.parametrize("tier", TIERS)
def test_a_flat_observation_is_inside_its_space_at_every_step(tier: str) -> None:
    env = make(tier)
    space = flat_space(env.batch.layout)
    for observation, _, _, info in walk(env, 0):
        vector = flatten(observation, info["action_mask"])
        assert space.contains(vector)
        np.testing.assert_array_equal(vector[-env.batch.layout.num_actions :], info["action_mask"])


def test_bounds_are_those_of_the_columns() -> None:
    layout = make("joint").batch.layout
    space, names = flat_space(layout), flat_columns(layout)
    assert space.low[names.index("context.stage_slack")] == -1.0
    assert space.low[names.index("candidates[7].stage_ttft_slack")] == -1.0
    assert space.low[names.index("candidates[7].stage_prompt")] == 0.0
    assert set(space.high.tolist()) == {1.0}


@pytest.mark.parametrize("tier", TIERS)
def test_a_batch_is_flattened_as_each_of_its_environments(tier: str) -> None:
    env = make_vec(tier, 3)
    env.reset(seed=0)
    for step in range(10):
        actions = [random_legal(mask, step, e) for e, mask in enumerate(env.action_masks())]
        observations = env.step(np.array(actions))[0]
    masks = env.action_masks()
    together = flatten(observations, masks)
    assert together.shape == (3, *flat_space(env.batch.layout).shape)
    for e in range(3):
        alone = flatten({name: array[e] for name, array in observations.items()}, masks[e])
        np.testing.assert_array_equal(together[e], alone)


def test_a_vector_of_ones_own_is_written_in_place() -> None:
    env = make("cluster")
    observation, info = env.reset(seed=0)
    own = np.full(flat_space(env.batch.layout).shape, np.nan, np.float32)
    assert flatten(observation, info["action_mask"], own) is own
    np.testing.assert_array_equal(own, flatten(observation, info["action_mask"]))


@pytest.mark.parametrize("tier", TIERS)
def test_an_environment_that_was_asked_for_it_shows_the_vector_in_every_form(tier: str) -> None:
    plain, flat = make(tier), make(tier, observation="flat")
    vector = make_vec(tier, 2, observation="flat")
    sb3 = MaestroVecEnv(tier, 2, seed=0, overrides=SMALL, observation="flat")
    check_env(flat, skip_render_check=True)
    shown, _ = vector.reset(seed=0)
    adapted = sb3.reset()
    rows, dicts = walk(flat, 0), walk(plain, 0)
    for (observation, *_), (parts, _, _, info) in zip(rows, dicts, strict=True):
        assert flat.observation_space.contains(observation)
        np.testing.assert_array_equal(observation, flatten(parts, info["action_mask"]))
    np.testing.assert_array_equal(shown[0], rows[0][0])
    np.testing.assert_array_equal(adapted, shown)
    assert vector.observation_space.contains(shown)
    assert sb3.observation_space == flat.observation_space
