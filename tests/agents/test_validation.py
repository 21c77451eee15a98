from __future__ import annotations

import pytest

from maestro_gym.agents.validation import Validation
from maestro_gym.baselines import load_policy
from maestro_gym.envs import RewardConfig
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario


def test_validation_pays_what_the_environment_pays(scenario: Scenario) -> None:
    reward = RewardConfig(slo_missed=0.0, ttft_missed=0.0)
    means = Validation(scenario, [0], reward, threads=1).measure(load_policy("maestro", scenario))
    result = run_episode(scenario, load_policy("maestro", scenario), "validation", 0, 0, samples=0)
    assert means["reward"] == pytest.approx(-result.counters["weighted_residence"])
