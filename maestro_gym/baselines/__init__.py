"""Rules and policies: Maestro, its ablations, its rivals and the oracle."""

from maestro_gym.baselines.registry import TABLE, load_policy, policy_names

__all__ = ["TABLE", "load_policy", "policy_names"]
