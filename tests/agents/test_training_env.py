from __future__ import annotations

import numpy as np

from maestro_gym.agents.training_env import TrainingVecEnv
from maestro_gym.envs import EnvOptions
from maestro_gym.episodes.scenario import Scenario


def test_environments_of_a_batch_are_out_of_step_after_their_first_episode(scenario: Scenario) -> None:
    env = TrainingVecEnv("cluster", 4, seed=0, options=EnvOptions(scenario=scenario))
    env.reset()
    ends: dict[int, float] = {}
    while len(ends) < 4:
        _, _, dones, infos = env.step(env.action_masks().argmax(1))
        for e in np.flatnonzero(dones):
            assert infos[e]["TimeLimit.truncated"]
            ends.setdefault(int(e), infos[e]["sim_time_s"])
    horizon_s = scenario.config.horizon_s
    assert all(ends[e] >= (e + 1) / 4 * horizon_s for e in range(4))
    assert ends[0] < horizon_s
