"""Ways on from a decision share all that chance decides, and other futures share the past."""

import numpy as np
import pytest

from maestro_gym.agents.rollout.futures import with_arrivals_of
from maestro_gym.agents.rollout.outcome import MISSED
from maestro_gym.agents.rollout.paired import PairedFutures
from maestro_gym.baselines.registry import load_policy
from maestro_gym.episodes.metrics.outcome import outcome_of
from maestro_gym.episodes.metrics.row import METRICS
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.sim.engine import OWN
from maestro_gym.state import Episode

AFTER_S = 20.0


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.load("quick", ["contention=high", "horizon_s=40", "drain_s=60"])


@pytest.fixture(scope="module")
def episodes(scenario: Scenario) -> tuple[Episode, Episode]:
    return scenario.episode("train", 0, 0), scenario.episode("train", 1, 0)


def test_another_future_has_the_same_past_and_the_others_arrivals(episodes: tuple[Episode, Episode]) -> None:
    mine, other = episodes
    mixed = with_arrivals_of(mine, other, AFTER_S)
    kept = int((mine.workflows["arrival_s"] <= AFTER_S).sum())
    stages = int(mine.workflows["num_stages"][:kept].sum())
    assert 0 < kept < len(mine.workflows)
    np.testing.assert_array_equal(mixed.workflows[:kept], mine.workflows[:kept])
    np.testing.assert_array_equal(mixed.stages[:stages], mine.stages[:stages])
    later = other.workflows["arrival_s"] > AFTER_S
    np.testing.assert_array_equal(mixed.workflows["arrival_s"][kept:], other.workflows["arrival_s"][later])
    # Every row still points to its own workflow, its own stages and its own children.
    counts = mixed.workflows["num_stages"]
    np.testing.assert_array_equal(mixed.workflows["first_stage"], np.cumsum(counts) - counts)
    np.testing.assert_array_equal(mixed.stages["workflow"], np.repeat(np.arange(len(counts)), counts))
    parents = np.repeat(np.arange(len(mixed.stages)), mixed.hidden["num_children"])
    np.testing.assert_array_equal(mixed.stages["workflow"][mixed.children], mixed.stages["workflow"][parents])
    assert (mixed.children > parents).all()
    contexts = [set(part["ctx_group"]) - {-1} for part in (mixed.stages[:stages], mixed.stages[stages:])]
    assert contexts[0]
    assert contexts[1]
    assert not contexts[0] & contexts[1]


def test_ways_on_differ_by_their_answer_alone(scenario: Scenario, episodes: tuple[Episode, Episode]) -> None:
    policy = load_policy("searched", scenario)
    paired = PairedFutures(scenario, policy, "cluster")
    result = run_episode(scenario, policy, "train", 0)
    missed = (1.0 - METRICS["slo_attainment"].compute(outcome_of(result, blocking=False))) * len(result.workflows)
    seen = 0
    for decision in paired.decisions(episodes[0], [5.0, AFTER_S, 30.0]):
        ends_s = [decision.now_s + 5.0, np.inf]
        own = paired.outcomes(OWN, ends_s)
        assert own[-1, MISSED] == pytest.approx(missed)
        np.testing.assert_array_equal(paired.outcomes(int(decision.codes[decision.own]), ends_s), own)
        # The same arrivals by another way: only the numbers of their contexts are new.
        again = with_arrivals_of(episodes[0], episodes[0], decision.now_s)
        np.testing.assert_array_equal(paired.outcomes(OWN, ends_s, again), own)
        others = [int(code) for code in decision.codes[decision.mask] if code != decision.codes[decision.own]]
        assert any((paired.outcomes(code, ends_s) != own).any() for code in others)
        seen += 1
    assert seen == 3
    assert paired.finish()[MISSED] == pytest.approx(missed)
