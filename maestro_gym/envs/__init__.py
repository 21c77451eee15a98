"""The Gymnasium environments: what an agent is shown, what it may do, and what it is paid for.

Start with ``single.py`` (one environment, with Gymnasium's interface), ``batch/kernel.py`` (the compiled step that is
under every environment) and ``observation/observe.py`` (what a decision looks like). ``vector.py`` is the native
vector, ``node_env.py`` and its three neighbours are the ids, ``pages.py`` completes their docstrings, ``reward.py`` has
the rewards, and ``sb3.py`` is the adapter to Stable-Baselines3, which imports torch. ``pettingzoo`` makes several
agents of the joint environment, and ``flat.py`` one vector of an observation.

- A new column of an observation is one function in the file of its block: see ``observation/__init__.py``.
- A new reward is an object with the `Reward` protocol, passed as ``reward=``. If it needs another counter of the
  simulator, add the counter's name to ``batch.buffers.REWARD_COUNTERS``.
- A new environment id is an entry of `TIER_SPECS` in ``observation/layout.py``, a class like `ClusterEnv`, a vector
  class in ``vector.py`` and an entry of ``maestro_gym.registration.ENVIRONMENTS``.
"""

from typing import TYPE_CHECKING

from maestro_gym.core.handed_on import handed_on
from maestro_gym.envs.batch.agent_batch import EnvOptions
from maestro_gym.envs.batch.buffers import REWARD_COUNTERS
from maestro_gym.envs.batch.simulated import Batch
from maestro_gym.envs.cluster_env import ClusterEnv
from maestro_gym.envs.finite_info import FiniteInfo
from maestro_gym.envs.flat import flat_columns, flat_space, flatten
from maestro_gym.envs.global_env import GlobalEnv
from maestro_gym.envs.joint_env import JointEnv
from maestro_gym.envs.masking import ActionMaskObservation
from maestro_gym.envs.node_env import NodeEnv
from maestro_gym.envs.reward import LinearReward, Reward, RewardConfig, discount, reward_unit_s
from maestro_gym.envs.single import MaestroEnv
from maestro_gym.envs.vector import (
    ClusterVectorEnv,
    GlobalVectorEnv,
    JointVectorEnv,
    MaestroVectorEnv,
    NodeVectorEnv,
)

if TYPE_CHECKING:
    from maestro_gym.envs.sb3 import BatchVecEnv, MaestroVecEnv

__all__ = [
    "REWARD_COUNTERS",
    "ActionMaskObservation",
    "Batch",
    "BatchVecEnv",
    "ClusterEnv",
    "ClusterVectorEnv",
    "EnvOptions",
    "FiniteInfo",
    "GlobalEnv",
    "GlobalVectorEnv",
    "JointEnv",
    "JointVectorEnv",
    "LinearReward",
    "MaestroEnv",
    "MaestroVecEnv",
    "MaestroVectorEnv",
    "NodeEnv",
    "NodeVectorEnv",
    "Reward",
    "RewardConfig",
    "discount",
    "flat_columns",
    "flat_space",
    "flatten",
    "reward_unit_s",
]

__getattr__ = handed_on(__name__, {"BatchVecEnv": "sb3", "MaestroVecEnv": "sb3"})
