"""A model of your own, trained by plain Stable-Baselines3 in a script of your own.

    python examples/sb3_ppo_own_script.py model.zip
    maestro-gym compare --policy model.zip,jsq+maestro,random+maestro,maestro --trust
    maestro-gym export model.zip --onnx --trust

Change what you like: algorithm, network, reward. The observation must stay the environment's own.
"""

from __future__ import annotations

import sys

import torch
from stable_baselines3 import PPO

from maestro_gym.envs import MaestroVecEnv, RewardConfig

PATH = sys.argv[1] if len(sys.argv) > 1 else "model.zip"
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000

# PPO knows no masks: an illegal action is replaced by the lowest legal one, and costs something, so that it learns.
env = MaestroVecEnv(
    "cluster",
    32,
    seed=0,
    scenario="quick",
    overrides=["contention=high", "horizon_s=120"],
    reward=RewardConfig(invalid_action=1.0),
)
torch.set_num_threads(1)  # the network is small
model = PPO(
    "MultiInputPolicy",
    env,
    n_steps=min(128, STEPS // 32),
    batch_size=512,
    learning_rate=3e-4,
    policy_kwargs={"net_arch": [64, 64]},
    seed=0,
    device="cpu",
)
model.learn(STEPS)
model.save(PATH)
print(f"{model.num_timesteps:,} decisions learned from; saved as {PATH}")
