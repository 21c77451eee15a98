"""What the constructors and reset refuse, in the words that other libraries look for, and which seeds they take."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.sb3 import MaestroVecEnv
from maestro_gym.workloads import episode_key, fold_seed
from tests.envs.walks import SMALL, make, make_vec

LARGE = (2**32, 2**63, 2**64 - 1, 10**30)


def _sb3(**options: object) -> object:
    return MaestroVecEnv("cluster", 1, **{"overrides": SMALL, **options})


def _single(**options: object) -> object:
    return make("cluster", **options)


def _vector(**options: object) -> object:
    return make_vec("cluster", 1, **options)


@pytest.mark.parametrize("door", [_single, _vector, _sb3])
def test_an_unknown_argument_is_a_type_error_in_pythons_own_words(door: object) -> None:
    # TorchRL and Stable-Baselines3 fall back when they read these words.
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'frameskip'") as caught:
        door(frameskip=1)  # type: ignore[operator]
    assert isinstance(caught.value, MaestroError)


@pytest.mark.parametrize("door", [_single, _vector, _sb3])
@pytest.mark.parametrize(
    "wrong",
    [
        {"split": "tset"},
        {"window": 2},
        {"companions": "maestr"},
        {"scenario": "qick"},
        {"reward": "normalized"},
        {"observation": "box"},
        {"overrides": ("horizon_s=-1",)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_value_that_an_argument_cannot_have_is_a_value_error(door: object, wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        door(**wrong)  # type: ignore[operator]
    assert isinstance(caught.value, MaestroError)


def test_what_is_no_reward_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no reward"):
        make("cluster", reward=3)


@pytest.mark.parametrize("number", [0, -1, 1.5])
def test_a_vector_of_no_environments_is_refused(number: object) -> None:
    with pytest.raises(ValueError, match="num_envs"):
        make_vec("cluster", number)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_seed_of_32_bits_is_taken_as_it_is(seed: int) -> None:
    assert fold_seed(seed) == seed


def test_larger_seeds_are_folded_to_32_bits_and_differ() -> None:
    folded = [fold_seed(seed) for seed in (*LARGE, *(2**40 + k for k in range(1000)))]
    assert len(set(folded)) == len(folded)
    assert all(0 <= seed < 2**32 and fold_seed(seed) == seed for seed in folded)


def test_episodes_of_seeds_of_today_keep_their_keys() -> None:
    # Written down from the version before larger seeds were taken.
    assert episode_key("train", 7, 0) == 2706017065414864895
    assert episode_key("test", 2**31 - 1, 3) == 944147146909122279


@pytest.mark.parametrize("seed", LARGE)
def test_every_seed_begins_an_episode_and_begins_it_again(seed: int) -> None:
    env = make("cluster")
    first, _ = env.reset(seed=seed)
    assert data_equivalence(first, env.reset(seed=seed)[0], exact=True)
    batch, _ = make_vec("cluster", 2).reset(seed=[3, seed])
    for name, array in first.items():
        np.testing.assert_array_equal(batch[name][1], array)


def test_a_negative_seed_is_refused_everywhere() -> None:
    with pytest.raises(gymnasium.error.Error):
        make("cluster").reset(seed=-1)
    with pytest.raises(ValueError, match="negative"):
        make_vec("cluster", 2).reset(seed=[0, -1])
