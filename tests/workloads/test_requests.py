"""Single requests as a workload of scenarios."""

from __future__ import annotations

import numpy as np

from maestro_gym.episodes.scenario import Scenario

LAWS = (
    "workload.requests={prompt_tokens: {median: 900, sigma: 1.5}, output_tokens: {median: 200, sigma: 1.5}, "
    "prefix_tokens: 500, prefix_groups: 4}"
)


def test_requests_take_the_place_of_a_family_in_any_scenario() -> None:
    scenario = Scenario.load("toy", [LAWS, "horizon_s=400"])
    episode = scenario.episode("test", 0, 0)
    stages, limit = episode.stages, scenario.world.models["max_model_len"][episode.stages["model"]]
    assert scenario.config.workload.family is None
    assert np.all(episode.workflows["num_stages"] == 1)
    assert np.all(stages["prompt_tokens"] + stages["max_output_tokens"] <= limit)
    assert np.all(episode.hidden["output_tokens"] <= stages["max_output_tokens"])
    assert set(stages["sys_group"]) == {0, 1, 2, 3}
    assert np.all(stages["sys_prefix_tokens"] == np.minimum(500, stages["prompt_tokens"]))
    shares = np.bincount(stages["model"], minlength=3) / len(stages)
    assert np.allclose(shares, [0.6, 0.25, 0.15], atol=0.05)


def test_a_limit_does_not_betray_an_output() -> None:
    stages = Scenario.load("toy", [LAWS]).episode("train", 0, 0).stages
    room = stages["max_output_tokens"] + stages["prompt_tokens"]
    one = (stages["model"] == 0) & (room < room.max())
    assert len(np.unique(stages["max_output_tokens"][one])) == 1


def test_lengths_follow_their_law() -> None:
    episode = Scenario.load("toy", [LAWS, "horizon_s=4000"]).episode("test", 0, 0)
    assert np.isclose(np.median(episode.hidden["output_tokens"]), 200, rtol=0.1)
    assert np.isclose(np.std(np.log(episode.hidden["output_tokens"])), 1.5, rtol=0.1)
