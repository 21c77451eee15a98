"""An agent that answers as its companions' own rule would runs the episode that they run alone."""

import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.envs.batch.agent_batch import EnvOptions
from maestro_gym.envs.batch.own_rule import NO_ANSWER
from maestro_gym.envs.batch.simulated import Batch
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from tests.envs.walks import SMALL, TIERS


@pytest.mark.parametrize("companions", ["maestro", "warm-jsq+maestro"])
@pytest.mark.parametrize("tier", TIERS)
def test_following_the_own_rule_is_the_companions_own_episode(tier: str, companions: str) -> None:
    scenario = Scenario.load("quick", SMALL)
    batch = Batch(tier, EnvOptions(scenario, companions=companions, split="test", evaluation=True), 1)
    batch.begin_all([5])
    decisions = 0
    while not batch.outcome["done"][0]:
        answers = batch.own_answers()
        assert answers[0] != NO_ANSWER
        batch.step(answers)
        decisions += 1
    alone = run_episode(scenario, load_policy(companions, scenario), "test", 5, 0, samples=0)
    assert decisions > 20
    counters = batch.state.core.counters[0]
    for name in counters.dtype.names:
        assert counters[name] == alone.counters[name], name
    stages = batch.state.visible.stages[0, : len(alone.stages)]
    np.testing.assert_array_equal(stages["admitted_s"], alone.stages["admitted_s"])
