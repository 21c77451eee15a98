"""Maestro/Cluster-v0."""
from __future__ import annotations
from maestro_gym.envs.single import MaestroEnv

class ClusterEnv(MaestroEnv):
    """x"""
    tier = "cluster"
