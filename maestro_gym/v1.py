"""Importing this registers version 1 of the environments: ``gymnasium.make("maestro_gym.v1:Maestro/Cluster-v1")``."""

from maestro_gym.registration import VERSION_1, register_envs

register_envs(VERSION_1)
