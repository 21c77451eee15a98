"""Registration of the environments with Gymnasium."""

from __future__ import annotations

import gymnasium

TIERS = ("node", "cluster", "global", "joint")
VERSION = "v0"


def env_id(tier: str, *, live: bool = False) -> str:
    """Id of a tier's environment, simulated or on real servers."""
    return f"Maestro/{'Live-' if live else ''}{tier.capitalize()}-{VERSION}"


def register_envs() -> None:
    """Register every environment that is not registered yet; the environments are imported when they are made."""
    for tier in TIERS:
        word = tier.capitalize()
        _register(
            env_id(tier),
            entry_point=f"maestro_gym.envs.{tier}_env:{word}Env",
            vector_entry_point=f"maestro_gym.envs.vector:{word}VectorEnv",
        )
        # A fleet is one: there is no vector of it.
        _register(env_id(tier, live=True), entry_point=f"maestro_gym.real_backend.live_envs:Live{word}Env")


def _register(name: str, **entry_points: str) -> None:
    if name not in gymnasium.registry:
        gymnasium.register(id=name, **entry_points)  # pyright: ignore[reportArgumentType]
