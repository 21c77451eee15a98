"""A scenario composes fleet, workload, rate and predictor, and makes the same episodes everywhere."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from maestro_gym.episodes.scenario import Scenario

SHORT = ["horizon_s=60"]


@pytest.fixture(scope="module")
def quick() -> Scenario:
    return Scenario.load("quick", SHORT)


def test_the_rate_is_the_load_times_the_capacity(quick: Scenario) -> None:
    assert quick.rate_rps == pytest.approx(0.8 * quick.capacity_rps)
    high = Scenario.load("quick", [*SHORT, "contention=high"])
    assert high.capacity_rps == quick.capacity_rps
    assert high.rate_rps == pytest.approx(1.1 * quick.capacity_rps)


def test_a_fixed_rate_goes_before_the_load() -> None:
    assert Scenario.load("quick", [*SHORT, "workload.rate_rps=0.5"]).rate_rps == 0.5


def test_popularity_of_the_world_is_that_of_the_workload(quick: Scenario) -> None:
    configured = np.array([deployment.popularity for deployment in quick.config.models])
    assert np.allclose(quick.world.models["popularity"], configured / configured.sum(), atol=0.02)


def test_names_match_the_rows_of_the_world(quick: Scenario) -> None:
    assert len(quick.model_names) == len(quick.world.models)
    assert len(quick.node_names) == len(quick.world.nodes)
    assert len(quick.host_names) == len(quick.world.hosts)
    assert len(quick.cluster_names) == len(quick.world.latency_s)


def test_episodes_follow_from_split_seed_and_index(quick: Scenario) -> None:
    one, again = quick.episode("train", 1, 2), Scenario.load("quick", SHORT).episode("train", 1, 2)
    assert all(np.array_equal(mine, yours) for mine, yours in zip(one, again, strict=True))
    others = [quick.episode("test", 1, 2), quick.episode("train", 2, 2), quick.episode("train", 1, 3)]
    assert all(not np.array_equal(one.workflows["arrival_s"], other.workflows["arrival_s"]) for other in others)


def test_the_last_episodes_are_kept(quick: Scenario) -> None:
    assert quick.episode("test", 0, 0) is quick.episode("test", 0, 0)


@pytest.mark.parametrize("kind", ["oracle", "boosted", "role_median", "constant", "noisy"])
def test_every_predictor_annotates_the_same_episode(quick: Scenario, kind: str) -> None:
    episode = Scenario.load("quick", [*SHORT, f"predictor.kind={kind}", "predictor.history=2000"]).episode("test", 0, 0)
    assert np.array_equal(episode.stages, quick.episode("test", 0, 0).stages)
    assert np.all(episode.predictions["remaining_s_q50"] > 0)


def test_a_pickled_scenario_makes_the_same_episodes_and_leaves_the_kept_ones_behind(quick: Scenario) -> None:
    quick.episode("test", 0, 0)
    pickled = pickle.dumps(quick)
    assert len(pickled) < 2_000_000
    copy = pickle.loads(pickled)
    same = zip(copy.episode("test", 0, 0), quick.episode("test", 0, 0), strict=True)
    assert all(np.array_equal(mine, yours) for mine, yours in same)
