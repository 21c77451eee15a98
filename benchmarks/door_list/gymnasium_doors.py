"""Gymnasium itself: its checker, its vectors and its wrappers."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics
from gymnasium.wrappers import vector as vector_wrappers

from door_list.door import ID, SHORT, check_told, door
from maestro_gym.envs import ActionMaskObservation


@door("Gymnasium: make", "gymnasium")
def single(_: Path) -> None:
    """`check_env`, then an episode by masks."""
    env = gymnasium.make(ID, **SHORT)
    check_env(env.unwrapped, skip_render_check=True)
    _, info = env.reset()
    over = False
    while not over:
        action = env.action_space.sample(info["action_mask"].astype(np.int8))
        _, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    check_told(info)


@door("Gymnasium: wrappers", "gymnasium")
def wrappers(_: Path) -> None:
    """`RecordEpisodeStatistics`, `ActionMaskObservation`, `FlattenObservation`, `NormalizeReward`, an episode."""
    env = RecordEpisodeStatistics(FlattenObservation(ActionMaskObservation(gymnasium.make(ID, **SHORT))))
    env = gymnasium.wrappers.NormalizeReward(env)
    observation, info = env.reset()
    over = False
    while not over:
        assert env.observation_space.contains(observation)
        observation, _, terminated, truncated, info = env.step(env.action_space.sample())
        over = terminated or truncated
    assert info["episode"]["l"] > 0
    check_told(info)


@door("Gymnasium: make_vec, native", "gymnasium")
def native_vector(_: Path) -> None:
    """The batch, in each of the three autoreset modes."""
    for mode in AutoresetMode:
        envs = gymnasium.make_vec(ID, num_envs=3, autoreset_mode=mode, **SHORT)
        _until_ended(envs, mode)


@door("Gymnasium: make_vec, sync and async", "gymnasium")
def other_vectors(_: Path) -> None:
    """`SyncVectorEnv` and `AsyncVectorEnv` of single environments."""
    for kind in ("sync", "async"):
        _until_ended(gymnasium.make_vec(ID, num_envs=2, vectorization_mode=kind, **SHORT), AutoresetMode.NEXT_STEP)


@door("Gymnasium: vector wrappers", "gymnasium")
def wrapped_vectors(_: Path) -> None:
    """`RecordEpisodeStatistics`, `FlattenObservation`, `NormalizeReward` and `DictInfoToList` around the batch."""
    # Gymnasium's wrappers of observations refuse SAME_STEP.
    envs = gymnasium.make_vec(ID, num_envs=3, autoreset_mode=AutoresetMode.NEXT_STEP, **SHORT)
    envs = vector_wrappers.FlattenObservation(vector_wrappers.RecordEpisodeStatistics(envs))
    envs = vector_wrappers.DictInfoToList(vector_wrappers.NormalizeReward(envs))
    envs.reset()
    ended = 0
    while not ended:
        _, _, terminated, truncated, infos = envs.step(envs.action_space.sample())
        ended = sum(terminated | truncated)
    told = [info for info in infos if "episode_metrics" in info]
    assert len(told) == ended
    check_told(told[0])
    envs.close()


def _until_ended(envs: VectorEnv | SyncVectorEnv, mode: AutoresetMode) -> None:
    """Steps until an episode ends, one more, and what the end told."""
    envs.reset()
    ended = np.zeros(envs.num_envs, np.bool_)
    while not ended.any():
        _, _, terminated, truncated, infos = envs.step(envs.action_space.sample())
        ended = terminated | truncated
    told = infos["final_info"] if mode == AutoresetMode.SAME_STEP else infos
    metrics = told["episode_metrics"]["slo_attainment"][np.argmax(ended)]
    check_told({"episode_metrics": {"slo_attainment": metrics}})
    if mode == AutoresetMode.DISABLED:
        envs.reset(options={"reset_mask": ended})
    envs.step(envs.action_space.sample())
    envs.close()
