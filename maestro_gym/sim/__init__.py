"""The simulator: state arrays in, state arrays out."""

from maestro_gym.sim.scenario import Scenario
from maestro_gym.sim.world import build_world, world_names

__all__ = ["Scenario", "build_world", "world_names"]
