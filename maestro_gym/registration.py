"""Registration of the environments with Gymnasium."""

from __future__ import annotations

import gymnasium

TIERS = ("node", "cluster", "global", "joint")
VERSION = "v0"


def env_id(tier: str) -> str:
    """Id of a tier's environment."""
    return f"Maestro/{tier.capitalize()}-{VERSION}"


def register_envs() -> None:
    """Register every environment that is not registered yet; the environments are imported when they are made."""
    for tier in TIERS:
        name = env_id(tier)
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name,
                entry_point=f"maestro_gym.envs.{tier}_env:{tier.capitalize()}Env",
                vector_entry_point=f"maestro_gym.envs.vector:{tier.capitalize()}VectorEnv",
            )
