"""The simulator: state arrays in, state arrays out."""

from maestro_gym.sim.world import build_world, world_names

__all__ = ["build_world", "world_names"]
