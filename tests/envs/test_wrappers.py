"""Every wrapper of Gymnasium over ours: built, reset and stepped, its observations in its declared space."""

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces, wrappers
from gymnasium.vector import AutoresetMode, VectorEnv, VectorObservationWrapper

from maestro_gym.envs import ClusterEnv
from tests.envs.walks import make, make_vec

# A second of overload: several episodes end within the steps below.
SHORT = ("horizon_s=1", "contention=high")
STEPS = 20
MODES = list(AutoresetMode)
vector = wrappers.vector

Array = Any
"""An array of numpy, torch or jax, or a dict of them."""


# What the observations and actions of ours are turned into for wrappers that ask for another space.
IMAGE = spaces.Box(0, 255, (4, 31, 3), np.uint8)
UNIT = spaces.Box(0.0, 1.0, (1,), np.float32)


def as_image(observation: dict[str, np.ndarray]) -> np.ndarray:
    """The rows of the candidates as grey pixels, in three channels."""
    return np.repeat((255 * observation["candidates"]).astype(np.uint8)[..., None], 3, axis=-1)


def image(env: gymnasium.Env) -> gymnasium.Env:
    return wrappers.TransformObservation(env, as_image, IMAGE)


def images(envs: VectorEnv) -> VectorEnv:
    return vector.VectorizeTransformObservation(
        envs, wrappers.TransformObservation, func=as_image, observation_space=IMAGE
    )


def from_unit(num_actions: int, value: np.ndarray) -> np.int64:
    """The candidate that a number in [0, 1] points at."""
    return np.int64(min(int(value[0] * num_actions), num_actions - 1))


def by_number(env: gymnasium.Env) -> gymnasium.Env:
    return wrappers.TransformAction(env, partial(from_unit, env.action_space.n), UNIT)


def by_numbers(envs: VectorEnv) -> VectorEnv:
    func = partial(from_unit, envs.single_action_space.n)
    return vector.VectorizeTransformAction(envs, wrappers.TransformAction, func=func, action_space=UNIT)


def flat(env: gymnasium.Env) -> gymnasium.Env:
    return wrappers.FlattenObservation(env)


def flats(envs: VectorEnv) -> VectorEnv:
    return vector.FlattenObservation(envs)


def in_jax(env: gymnasium.Env) -> gymnasium.Env:
    return wrappers.ArrayConversion(env, env_xp=np, target_xp=importlib.import_module("jax.numpy"))


def all_in_jax(envs: VectorEnv) -> VectorEnv:
    return vector.ArrayConversion(envs, env_xp=np, target_xp=importlib.import_module("jax.numpy"))


SINGLE: dict[str, Callable[[gymnasium.Env], gymnasium.Env]] = {
    "ArrayConversion": lambda env: wrappers.ArrayConversion(env, env_xp=np, target_xp=torch),
    "Autoreset": wrappers.Autoreset,
    "ClipAction": lambda env: wrappers.ClipAction(by_number(env)),
    "ClipReward": lambda env: wrappers.ClipReward(env, -0.5, 0.5),
    "DelayObservation": lambda env: wrappers.DelayObservation(env, delay=2),
    "DiscretizeAction": lambda env: wrappers.DiscretizeAction(by_number(env), bins=8),
    "DiscretizeObservation": lambda env: wrappers.DiscretizeObservation(flat(env), bins=3, multidiscrete=True),
    "DtypeObservation": lambda env: wrappers.DtypeObservation(image(env), np.int32),
    "FilterObservation": lambda env: wrappers.FilterObservation(env, ["context"]),
    "FlattenObservation": flat,
    "FrameStackObservation": lambda env: wrappers.FrameStackObservation(env, stack_size=3),
    "GrayscaleObservation": lambda env: wrappers.GrayscaleObservation(image(env)),
    "JaxToNumpy": lambda env: wrappers.JaxToNumpy(in_jax(env)),
    "JaxToTorch": lambda env: wrappers.JaxToTorch(in_jax(env)),
    "MaxAndSkipObservation": lambda env: wrappers.MaxAndSkipObservation(flat(env), skip=2),
    "NormalizeObservation": lambda env: wrappers.NormalizeObservation(flat(env)),
    "NormalizeReward": wrappers.NormalizeReward,
    "NumpyToTorch": lambda env: wrappers.NumpyToTorch(env),
    "OrderEnforcing": wrappers.OrderEnforcing,
    "PassiveEnvChecker": wrappers.PassiveEnvChecker,
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "RenderCollection": wrappers.RenderCollection,
    "RepeatAction": lambda env: wrappers.RepeatAction(env, num_repeats=2),
    "RescaleAction": lambda env: wrappers.RescaleAction(by_number(env), np.float32(-1), np.float32(1)),
    "RescaleObservation": lambda env: wrappers.RescaleObservation(flat(env), np.float32(-3), np.float32(3)),
    "ReshapeObservation": lambda env: wrappers.ReshapeObservation(image(env), (31, 12)),
    "ResizeObservation": lambda env: wrappers.ResizeObservation(image(env), (8, 16)),
    "StickyAction": lambda env: wrappers.StickyAction(env, repeat_action_probability=0.5),
    "TimeAwareObservation": lambda env: wrappers.TimeAwareObservation(wrappers.TimeLimit(env, 100), flatten=False),
    "TimeLimit": lambda env: wrappers.TimeLimit(env, 7),
    "TransformAction": by_number,
    "TransformObservation": image,
    "TransformReward": lambda env: wrappers.TransformReward(env, lambda reward: 2 * reward),
}

VECTOR: dict[str, Callable[[VectorEnv], VectorEnv]] = {
    "ArrayConversion": lambda envs: vector.ArrayConversion(envs, env_xp=np, target_xp=torch),
    "ClipAction": lambda envs: vector.ClipAction(by_numbers(envs)),
    "ClipReward": lambda envs: vector.ClipReward(envs, -0.5, 0.5),
    "DictInfoToList": vector.DictInfoToList,
    "DtypeObservation": lambda envs: vector.DtypeObservation(images(envs), np.int32),
    "FilterObservation": lambda envs: vector.FilterObservation(envs, ["context"]),
    "FlattenObservation": flats,
    "GrayscaleObservation": lambda envs: vector.GrayscaleObservation(images(envs)),
    "JaxToNumpy": lambda envs: vector.JaxToNumpy(all_in_jax(envs)),
    "JaxToTorch": lambda envs: vector.JaxToTorch(all_in_jax(envs)),
    "NormalizeObservation": lambda envs: vector.NormalizeObservation(flats(envs)),
    "NormalizeReward": vector.NormalizeReward,
    "NumpyToTorch": lambda envs: vector.NumpyToTorch(envs),
    "RecordEpisodeStatistics": vector.RecordEpisodeStatistics,
    "RescaleAction": lambda envs: vector.RescaleAction(by_numbers(envs), np.float32(-1), np.float32(1)),
    "RescaleObservation": lambda envs: vector.RescaleObservation(flats(envs), np.float32(-3), np.float32(3)),
    "ReshapeObservation": lambda envs: vector.ReshapeObservation(images(envs), (31, 12)),
    "ResizeObservation": lambda envs: vector.ResizeObservation(images(envs), (8, 16)),
    "TransformAction": lambda envs: vector.TransformAction(envs, lambda actions: actions[::-1]),
    "TransformObservation": lambda envs: vector.TransformObservation(envs, as_image, single_observation_space=IMAGE),
    "TransformReward": lambda envs: vector.TransformReward(envs, lambda rewards: 2 * rewards),
    "VectorizeTransformAction": by_numbers,
    "VectorizeTransformObservation": images,
    "VectorizeTransformReward": lambda envs: vector.VectorizeTransformReward(
        envs, wrappers.TransformReward, func=lambda reward: 2 * reward
    ),
}

# Those that take pictures of an environment: they begin when ours has render mode `rgb_array`.
WITH_IMAGES: dict[str, Callable[[gymnasium.Env, Path], gymnasium.Env]] = {
    "AddRenderObservation": lambda env, _: wrappers.AddRenderObservation(env, render_only=True),
    "AddWhiteNoise": lambda env, _: wrappers.AddWhiteNoise(env, probability_of_noise_per_pixel=0.5),
    "HumanRendering": lambda env, _: wrappers.HumanRendering(env),
    "ObstructView": lambda env, _: wrappers.ObstructView(env, obstructed_pixels_ratio=0.5, obstruction_width=20),
    "RecordVideo": lambda env, folder: wrappers.RecordVideo(
        env, str(folder / "videos"), episode_trigger=lambda _: True
    ),
}
WITH_IMAGES_VECTOR: dict[str, Callable[[VectorEnv, Path], VectorEnv]] = {
    "HumanRendering": lambda envs, _: vector.HumanRendering(envs),
    "RecordVideo": lambda envs, folder: vector.RecordVideo(
        envs, str(folder / "videos"), episode_trigger=lambda _: True
    ),
}

CANNOT = {"AtariPreprocessing": "it sets the emulator's frame skip, which only the Atari environments have"}
"""What cannot be built over ours, with the reason."""

CONVERTERS = {"ArrayConversion", "JaxToNumpy", "JaxToTorch", "NumpyToTorch"}
"""Those that turn every array into another library's."""


def accepts(name: str, mode: AutoresetMode) -> bool:
    """Whether Gymnasium lets a vector wrapper be built in an autoreset mode.

    One that changes observations does not know of the final ones, and a running mean not of partial resets either.
    """
    if name == "NormalizeObservation":
        return mode == AutoresetMode.NEXT_STEP
    return mode != AutoresetMode.SAME_STEP or not issubclass(getattr(vector, name), VectorObservationWrapper)


NEEDS = {
    "ArrayConversion": ("array_api_compat",),
    "JaxToNumpy": ("array_api_compat", "jax"),
    "JaxToTorch": ("array_api_compat", "jax"),
    "NumpyToTorch": ("array_api_compat",),
    "ResizeObservation": ("cv2",),
}
"""Packages that a wrapper asks for and the project does not: without them its test is skipped."""


def ask_for_packages(name: str) -> None:
    missing = [package for package in NEEDS.get(name, ()) if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"{name} needs {' and '.join(missing)}")


def as_numpy(tree: Array) -> Array:
    """An observation as numpy has it, whatever library its arrays are of."""
    return {name: as_numpy(value) for name, value in tree.items()} if isinstance(tree, dict) else np.asarray(tree)


def as_written(action: Array, name: str) -> Array:
    """An action of numpy as the wrapper wants it."""
    return torch.as_tensor(action) if name in CONVERTERS - {"JaxToNumpy"} else action


def walk(env: gymnasium.Env, name: str) -> int:
    """Step an environment with sampled actions, each observation in its space; the episodes that ended."""
    env.action_space.seed(3)
    ended = 0
    observation, info = env.reset(seed=3)
    for _ in range(STEPS):
        assert as_numpy(observation) in env.observation_space
        assert isinstance(info, dict)
        observation, reward, terminated, truncated, info = env.step(as_written(env.action_space.sample(), name))
        assert np.isfinite(float(reward))
        if terminated or truncated:
            ended += 1
            if name != "Autoreset":
                assert as_numpy(observation) in env.observation_space
                observation, info = env.reset()
    env.close()
    return ended


def walk_all(envs: VectorEnv, name: str) -> int:
    """The same for a vector, in its autoreset mode, final observations too."""
    mode = envs.metadata["autoreset_mode"]
    envs.action_space.seed(3)
    ended = 0
    observation, _ = envs.reset(seed=3)
    for _ in range(STEPS):
        assert as_numpy(observation) in envs.observation_space
        observation, rewards, terminated, truncated, infos = envs.step(as_written(envs.action_space.sample(), name))
        assert np.isfinite(np.asarray(rewards)).all()
        assert np.shape(rewards) == np.shape(terminated) == np.shape(truncated) == (envs.num_envs,)
        over = np.asarray(terminated) | np.asarray(truncated)
        ended += int(over.sum())
        if mode == AutoresetMode.SAME_STEP and over.any() and isinstance(infos, dict):
            finals = infos["final_obs"][over]
            assert all(as_numpy(final) in envs.single_observation_space for final in finals)
        if mode == AutoresetMode.DISABLED and over.any():
            observation, _ = envs.reset(options={"reset_mask": over})
    envs.close()
    return ended


def test_every_wrapper_of_gymnasium_is_tried_or_named_with_its_reason() -> None:
    assert {*SINGLE, *WITH_IMAGES, *CANNOT, "vector"} == set(wrappers.__all__)
    assert {*VECTOR, *WITH_IMAGES_VECTOR} == set(vector.__all__)


@pytest.mark.parametrize("name", SINGLE)
def test_a_wrapper_runs_over_one_environment(name: str) -> None:
    ask_for_packages(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = SINGLE[name](make("cluster", overrides=SHORT, render_mode="ansi"))
        assert walk(env, name) >= 1


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("name", VECTOR)
def test_a_vector_wrapper_runs_over_the_native_vector(name: str, mode: AutoresetMode) -> None:
    ask_for_packages(name)
    envs = make_vec("cluster", 3, overrides=SHORT, autoreset_mode=mode)
    if not accepts(name, mode):
        with pytest.raises(ValueError, match="NEXT_STEP"):
            VECTOR[name](envs)
        return
    if name in CONVERTERS and mode == AutoresetMode.SAME_STEP:
        # Over any vector: Gymnasium keeps final observations in an array of objects, which no other library has.
        with pytest.raises(BufferError, match="DLPack only supports"):
            walk_all(VECTOR[name](envs), name)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert walk_all(VECTOR[name](envs), name) >= 2


@pytest.fixture
def _no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    if "rgb_array" not in ClusterEnv.metadata["render_modes"]:
        pytest.skip("the environments do not draw")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.mark.usefixtures("_no_window")
@pytest.mark.parametrize("name", WITH_IMAGES)
def test_a_wrapper_takes_pictures_of_one_environment(name: str, tmp_path: Path) -> None:
    env = WITH_IMAGES[name](make("cluster", overrides=SHORT, render_mode="rgb_array"), tmp_path)
    assert walk(env, name) >= 1
    assert bool(list(tmp_path.rglob("*.mp4"))) == (name == "RecordVideo")


@pytest.mark.usefixtures("_no_window")
@pytest.mark.parametrize("name", WITH_IMAGES_VECTOR)
def test_a_vector_wrapper_takes_pictures_of_the_native_vector(name: str, tmp_path: Path) -> None:
    if name == "HumanRendering":
        pytest.importorskip("cv2")
    envs = make_vec("cluster", 2, overrides=SHORT, render_mode="rgb_array", autoreset_mode=AutoresetMode.NEXT_STEP)
    assert walk_all(WITH_IMAGES_VECTOR[name](envs, tmp_path), name) >= 1
    assert bool(list(tmp_path.rglob("*.mp4"))) == (name == "RecordVideo")
