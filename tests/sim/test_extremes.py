"""Episodes at the edges: ten thousand workflows at one instant, and prompts as long as they may be."""

import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario

MANY = 10_000


@pytest.mark.parametrize("policy", ["fcfs", "maestro"])
def test_ten_thousand_workflows_that_arrive_at_once_are_all_served(policy: str) -> None:
    scenario = Scenario.load("toy", ["workload.rate_rps=1000", f"horizon_s={1.1 * MANY / 1000}", "drain_s=1e6"])
    episode = scenario.episode("test", 0, 0)
    assert len(episode.workflows) > MANY
    together = episode.workflows.copy()
    together["arrival_s"] = 1.0
    result = run_episode(
        scenario, load_policy(policy, scenario), episode=episode._replace(workflows=together), samples=0
    )
    assert result.done == "drained"
    assert result.counters["finished"] == len(together)
    assert np.isfinite(result.stages["finished_s"]).all()
    assert (result.stages["ready_s"] >= 1.0).all()
    assert result.counters["invalid_actions"] == 0


@pytest.mark.parametrize("policy", ["fcfs", "maestro"])
def test_prompts_as_long_as_the_context_allows_are_served_and_none_is_longer(policy: str) -> None:
    """Every call fills its model's context to the last token; the fleet serves them, one at a time if it must."""
    scenario = Scenario.load("toy", ["workload.rate_rps=0.02", "horizon_s=300", "drain_s=1e6"])
    episode = scenario.episode("test", 0, 0)
    config = scenario.config
    longest = np.array([config.max_model_len(model) for model in config.models])
    stages = episode.stages.copy()
    stages["prompt_tokens"] = longest[stages["model"]] - stages["max_output_tokens"]
    assert (stages["prompt_tokens"] > 1000).all()
    result = run_episode(scenario, load_policy(policy, scenario), episode=episode._replace(stages=stages), samples=0)
    assert result.done == "drained"
    assert np.isfinite(result.stages["finished_s"]).all()
    assert (result.stages["generated_tokens"] == episode.hidden["output_tokens"]).all()
    assert result.counters["finished"] == len(episode.workflows)
