"""Every environment id, spelled out. The version of an id rises when its dynamics, reward or spaces change."""

from __future__ import annotations

from typing import Any

import gymnasium

from maestro_gym.scheduling.tiers import AGENT_TIERS

TIERS = tuple(AGENT_TIERS)
"""What an agent drives; the middle of every id."""

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    # One tier by the agent, the others by the companions.
    "Maestro/Node-v0": {
        "entry_point": "maestro_gym.envs.node_env:NodeEnv",
        "vector_entry_point": "maestro_gym.envs.vector:NodeVectorEnv",
    },
    "Maestro/Cluster-v0": {
        "entry_point": "maestro_gym.envs.cluster_env:ClusterEnv",
        "vector_entry_point": "maestro_gym.envs.vector:ClusterVectorEnv",
    },
    "Maestro/Global-v0": {
        "entry_point": "maestro_gym.envs.global_env:GlobalEnv",
        "vector_entry_point": "maestro_gym.envs.vector:GlobalVectorEnv",
    },
    # All three tiers by the agent.
    "Maestro/Joint-v0": {
        "entry_point": "maestro_gym.envs.joint_env:JointEnv",
        "vector_entry_point": "maestro_gym.envs.vector:JointVectorEnv",
    },
    # The same on real servers. A fleet is one: there is no vector of it.
    "Maestro/Live-Node-v0": {"entry_point": "maestro_gym.real_backend.envs.live_envs:LiveNodeEnv"},
    "Maestro/Live-Cluster-v0": {"entry_point": "maestro_gym.real_backend.envs.live_envs:LiveClusterEnv"},
    "Maestro/Live-Global-v0": {"entry_point": "maestro_gym.real_backend.envs.live_envs:LiveGlobalEnv"},
    "Maestro/Live-Joint-v0": {"entry_point": "maestro_gym.real_backend.envs.live_envs:LiveJointEnv"},
}


VERSION_1: dict[str, dict[str, Any]] = {
    name.replace("-v0", "-v1"): entry_points | {"kwargs": {"reward": "normalised"}}
    for name, entry_points in ENVIRONMENTS.items()
    if "vector_entry_point" in entry_points
}
"""The simulated ones again, paid the normalised reward unless another is asked for. ``maestro_gym.v1`` registers them:
beside them Gymnasium calls version 0 out of date whenever one is made, and version 0 stays as good as it was."""


def env_id(tier: str, *, live: bool = False) -> str:
    """Id of the environment of a tier that importing this package registers, simulated or on real servers."""
    return f"Maestro/{'Live-' if live else ''}{tier.capitalize()}-v0"


def register_envs(environments: dict[str, dict[str, Any]] = ENVIRONMENTS) -> None:
    """Register environments that are not registered yet; they are imported when they are made.

    Args:
        environments: `ENVIRONMENTS` or `VERSION_1`.
    """
    for name, entry_points in environments.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, **entry_points)
