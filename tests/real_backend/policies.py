"""Policies as a training leaves them, without a training."""

from pathlib import Path

import torch

from maestro_gym.agents.observed_rule import encoder_fingerprint
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import save_policy
from maestro_gym.envs.sb3 import BatchVecEnv


def untrained_policy(folder: Path, env: BatchVecEnv, tier: str = "cluster") -> PolicyCard:
    """Save a policy of random weights that reads what an environment shows."""
    rows, columns = env.observation_space["candidates"].shape
    card = PolicyCard(
        tier=tier,
        network="scorer",
        num_features=columns,
        num_context=env.observation_space["context"].shape[0],
        num_candidates=rows,
        hidden_sizes=(16, 16),
        encoder=encoder_fingerprint(env.batch.layout.spec, predictions=True),
        scenario="local_cpu",
        steps=1000,
        reward_divisor=50.0,
        discount_horizon_s=30.0,
    )
    torch.manual_seed(0)
    save_policy(folder, card, card.build())
    return card
