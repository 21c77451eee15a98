"""An episode in which nothing arrives, and one in which too much would."""

import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario


def test_an_episode_without_workflows_is_an_error() -> None:
    scenario = Scenario.load("toy", ["horizon_s=0.001", "workload.rate_rps=0.001"])
    for _ in range(2):  # the second is kept
        with pytest.raises(MaestroError, match=r"no workflow arrives .* seed 3.*Lengthen horizon_s"):
            run_episode(scenario, load_policy("fcfs"), "validation", 3)
    assert len(scenario.episode("validation", 3, 0, may_be_empty=True).workflows) == 0


@pytest.mark.parametrize(
    "words", [("workload.rate_rps=1e6",), ("horizon_s=1e8",), ("workload.load=1000", "horizon_s=1e6")]
)
def test_more_calls_than_memory_are_refused_before_they_are_drawn(words: tuple[str, ...]) -> None:
    with pytest.raises(MaestroError, match=r"calls an episode, and 5,000,000 is the most"):
        Scenario.load("toy", words)
