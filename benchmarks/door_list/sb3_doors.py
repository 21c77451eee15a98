"""Stable-Baselines3, sb3-contrib and rl-zoo3."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium

from door_list.door import ID, SHORT, door

SMALL: dict[str, Any] = {"device": "cpu", "policy_kwargs": {"net_arch": [16]}}
ROLLOUT = {"n_steps": 32} | SMALL


@door("SB3: make_vec_env, Dummy", "stable-baselines3")
def dummy(_: Path) -> None:
    """`check_env`; `DummyVecEnv` and `VecNormalize`; PPO for 128 decisions."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    check_env(gymnasium.make(ID, **SHORT), warn=False)
    env = VecNormalize(make_vec_env(ID, n_envs=2, env_kwargs=SHORT), norm_obs=False)
    PPO("MultiInputPolicy", env, batch_size=64, **ROLLOUT).learn(128)
    env.close()


@door("SB3: make_vec_env, Subproc", "stable-baselines3")
def subproc(_: Path) -> None:
    """`SubprocVecEnv` of two processes, PPO for 64 decisions."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import SubprocVecEnv

    env = make_vec_env(ID, n_envs=2, env_kwargs=SHORT, vec_env_cls=SubprocVecEnv)
    PPO("MultiInputPolicy", env, batch_size=64, **ROLLOUT).learn(64)
    env.close()


@door("SB3: PPO", "stable-baselines3")
def ppo(folder: Path) -> None:
    """On `MaestroVecEnv`: 128 decisions, evaluation, save, load."""
    from stable_baselines3 import PPO

    _learn(PPO, folder, batch_size=64, **ROLLOUT)


@door("SB3: A2C", "stable-baselines3")
def a2c(folder: Path) -> None:
    """On `MaestroVecEnv`: 128 decisions, evaluation, save, load."""
    from stable_baselines3 import A2C

    _learn(A2C, folder, **ROLLOUT)


@door("SB3: DQN", "stable-baselines3")
def dqn(folder: Path) -> None:
    """On `MaestroVecEnv`: 128 decisions, evaluation, save, load."""
    from stable_baselines3 import DQN

    _learn(DQN, folder, buffer_size=500, learning_starts=20, batch_size=16, **SMALL)


@door("sb3-contrib: MaskablePPO", "sb3-contrib")
def maskable(folder: Path) -> None:
    """On `MaestroVecEnv`: 128 decisions, evaluation by masks, save, load; then on `make_vec_env`."""
    from sb3_contrib import MaskablePPO
    from stable_baselines3.common.env_util import make_vec_env

    _learn(MaskablePPO, folder, batch_size=64, **ROLLOUT)
    MaskablePPO("MultiInputPolicy", make_vec_env(ID, env_kwargs=SHORT), batch_size=32, **ROLLOUT).learn(64)


def _learn(algorithm: Any, folder: Path, **settings: Any) -> None:  # noqa: ANN401 - any of SB3's
    """Learn a little, judged by validation episodes; the saved best model is loaded and decides."""
    from maestro_gym.agents import EpisodeMetricsEval
    from maestro_gym.envs import MaestroVecEnv

    env = MaestroVecEnv("cluster", 2, **SHORT)
    unseen = MaestroVecEnv("cluster", 2, split="validation", compare_with="maestro", **SHORT)
    best = folder / "best.zip"
    watch = EpisodeMetricsEval(unseen, 64, path=best, verbose=0)
    algorithm("MultiInputPolicy", env, **settings).learn(128, callback=watch)
    assert len(watch.scores) >= 1
    model = algorithm.load(best, device="cpu")
    action, _ = model.predict(unseen.reset(), deterministic=True)
    unseen.step(action)


@door("rl-zoo3: train", "rl_zoo3")
def zoo(folder: Path) -> None:
    """`python -m rl_zoo3.train --algo ppo --gym-packages maestro_gym` with hyperparameters of the id, 128 decisions."""
    name = ID.partition(":")[2]
    settings = folder / "ppo.yml"
    settings.write_text(
        f"{name}:\n  n_timesteps: 128\n  n_envs: 2\n  policy: MultiInputPolicy\n  n_steps: 32\n  batch_size: 64\n",
        encoding="utf-8",
    )
    words = ["--algo", "ppo", "--env", name, "--gym-packages", "maestro_gym", "--conf-file", str(settings)]
    words += ["--env-kwargs", f"overrides:{list(SHORT['overrides'])!r}", "--eval-freq", "-1", "--device", "cpu"]
    words += ["--log-folder", str(folder / "logs")]
    subprocess.run([sys.executable, "-m", "rl_zoo3.train", *words], cwd=folder, check=True, capture_output=True)
    assert list(folder.glob("logs/ppo/*/*.zip"))
