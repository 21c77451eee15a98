"""Gymnasium environments: spaces, masks, rewards, rendering, native vector.

``maestro_gym.envs.sb3`` holds the Stable-Baselines3 adapter; it imports torch.
"""

from maestro_gym.envs.batch.agent_batch import EnvOptions
from maestro_gym.envs.batch.simulated import Batch
from maestro_gym.envs.cluster_env import ClusterEnv
from maestro_gym.envs.global_env import GlobalEnv
from maestro_gym.envs.joint_env import JointEnv
from maestro_gym.envs.masking import ActionMaskObservation
from maestro_gym.envs.node_env import NodeEnv
from maestro_gym.envs.reward import LinearReward, Reward, RewardConfig, discount
from maestro_gym.envs.vector import (
    ClusterVectorEnv,
    GlobalVectorEnv,
    JointVectorEnv,
    MaestroVectorEnv,
    NodeVectorEnv,
)

__all__ = [
    "ActionMaskObservation",
    "Batch",
    "ClusterEnv",
    "ClusterVectorEnv",
    "EnvOptions",
    "GlobalEnv",
    "GlobalVectorEnv",
    "JointEnv",
    "JointVectorEnv",
    "LinearReward",
    "MaestroVectorEnv",
    "NodeEnv",
    "NodeVectorEnv",
    "Reward",
    "RewardConfig",
    "discount",
]
