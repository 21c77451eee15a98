"""MaskablePPO runs on every tier."""

import pytest
from sb3_contrib import MaskablePPO

from maestro_gym.envs.sb3 import MaestroVecEnv
from tests.envs.walks import SMALL, TIERS


@pytest.mark.parametrize("tier", TIERS)
def test_maskable_ppo_learns_for_a_few_steps(tier: str) -> None:
    envs = MaestroVecEnv(tier, 4, seed=0, overrides=SMALL)
    model = MaskablePPO("MultiInputPolicy", envs, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(96)
    assert envs.batch.state.core.counters["invalid_actions"].sum() == 0
