"""Every environment id, spelled out. The version of an id rises when its dynamics, reward or spaces change."""

from __future__ import annotations

import gymnasium

from maestro_gym.scheduling.tiers import AGENT_TIERS

TIERS = tuple(AGENT_TIERS)
"""What an agent drives; the middle of every id."""

ENVIRONMENTS: dict[str, dict[str, str]] = {
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


def env_id(tier: str, *, live: bool = False) -> str:
    """Id of the newest environment of a tier, simulated or on real servers."""
    stem = f"Maestro/{'Live-' if live else ''}{tier.capitalize()}-v"
    return [name for name in ENVIRONMENTS if name.startswith(stem)][-1]


def register_envs() -> None:
    """Register every environment that is not registered yet; the environments are imported when they are made."""
    for name, entry_points in ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, **entry_points)  # pyright: ignore[reportArgumentType]
