"""One episode as a learner would have lived it: observations with their masks, actions, rewards, times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from maestro_gym.core.hashing import mix, uniform
from maestro_gym.envs.batch.own_rule import NO_ANSWER
from maestro_gym.envs.masking import ActionMaskObservation
from maestro_gym.envs.single import MaestroEnv
from maestro_gym.workloads import fold_seed

_EXPLORE, _ANY = 902, 903
"""Purposes of the draws: whether a decision explores, and what it then does."""


@dataclass(frozen=True)
class Recorded:
    """One episode of T decisions.

    Attributes:
        observations: ``candidates`` float32 (T + 1, A, F), ``context`` float32 (T + 1, G), ``action_mask`` int8
            (T + 1, A); the last is that of the end.
        actions: int64, shape (T,).
        rewards: float64, shape (T,).
        terminations: bool, shape (T,).
        truncations: bool, shape (T,).
        infos: ``dt_s`` and ``sim_time_s``, float64 (T + 1,), and ``of_policy``, bool (T + 1,): whether the policy chose
            the action of that moment; the last entry belongs to no action.
        metrics: Of the episode, by name.
    """

    observations: dict[str, np.ndarray]
    actions: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray
    infos: dict[str, np.ndarray]
    metrics: dict[str, float]


def record_episode(env: ActionMaskObservation, seed: int, explore: float = 0.0) -> Recorded:
    """Play the first episode of a seed under the companions of an environment, its own tier included.

    Args:
        env: A Maestro environment whose observation has the mask.
        seed: Of the episode.
        explore: Share of the decisions that are a legal action drawn at random, and not the policy's.

    Returns:
        The episode. Where the policy's choice is not among the actions (a stage outside the window of the global tier),
        the lowest legal action is done, and ``of_policy`` is False.
    """
    batch = _batch_of(env)
    observation, info = env.reset(seed=seed)
    key, seen, infos = fold_seed(seed), [observation], [_times(info)]
    actions: list[int] = []
    chosen: list[bool] = []
    rewards: list[float] = []
    over = terminated = truncated = False
    while not over:
        legal = np.flatnonzero(observation["action_mask"])
        action = int(batch.own_answers()[0])
        is_own = action != NO_ANSWER
        if uniform(key, _EXPLORE, len(actions)) < explore:
            action, is_own = int(legal[mix(key, _ANY, len(actions)) % len(legal)]), False
        action = action if action != NO_ANSWER else int(legal[0])
        observation, reward, terminated, truncated, info = env.step(np.int64(action))
        actions.append(action)
        chosen.append(is_own)
        rewards.append(float(reward))
        seen.append(observation)
        infos.append(_times(info))
        over = terminated or truncated
    ends = np.zeros(len(actions), np.bool_)
    terminations, truncations = ends.copy(), ends
    terminations[-1], truncations[-1] = terminated, truncated
    times = np.array(infos)
    return Recorded(
        observations={name: np.stack([each[name] for each in seen]) for name in seen[0]},
        actions=np.array(actions, np.int64),
        rewards=np.array(rewards),
        terminations=terminations,
        truncations=truncations,
        infos={"dt_s": times[:, 0], "sim_time_s": times[:, 1], "of_policy": np.array([*chosen, False])},
        metrics=dict(info["episode_metrics"]),
    )


def _batch_of(env: gymnasium.Env) -> Any:  # noqa: ANN401 - an AgentBatch
    inner = env.unwrapped
    assert isinstance(inner, MaestroEnv)
    return inner.batch


def _times(info: dict[str, Any]) -> tuple[float, float]:
    return info["dt_s"], info["sim_time_s"]
