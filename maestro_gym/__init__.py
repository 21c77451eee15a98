"""maestro-gym: train, compare and validate schedulers for LLM multi-agent serving."""

from maestro_gym.core import moved
from maestro_gym.registration import register_envs

__version__ = "0.2.0"

moved.install()
register_envs()
