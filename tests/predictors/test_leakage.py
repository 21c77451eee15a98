"""Nothing that has not been executed shows: not in a prediction, not in an action."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro_gym.baselines import load_policy
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.predictors import Predictor, record
from maestro_gym.sim.batch import Simulation
from maestro_gym.sim.engine import open_engine, run_until
from maestro_gym.state import Episode
from tests.predictors.futures import draw_progress, rewrite

BLIND = ("boosted", "role_median", "constant")
NOT_BLIND = ("oracle", "noisy")
OVERRIDES = ("horizon_s=20", "workload.load=2.5", "predictor.history=2000")


@cache
def scenario(kind: str) -> Scenario:
    return Scenario.load("quick", (*OVERRIDES, f"predictor.kind={kind}"))


def bare(key: int, horizon_s: float = 8.0) -> Episode:
    quick = scenario("constant")
    return quick.workload.episode(key, quick.rate_rps, horizon_s, quick.world.service)


def predictions(predictor: Predictor, episode: Episode) -> np.ndarray:
    service = scenario("constant").world.service
    return record(episode, service, predictor.guess(episode, service, 5)).predictions


@pytest.mark.parametrize("kind", BLIND)
@settings(max_examples=40, deadline=None)
@given(key=st.integers(0, 2**40), seed=st.integers(0, 2**32))
def test_another_future_changes_no_prediction_of_what_is_visible(kind: str, key: int, seed: int) -> None:
    episode, rng = bare(key), np.random.default_rng(seed)
    executed, visible = draw_progress(episode, rng)
    other = rewrite(episode, executed, visible, executed, scenario(kind).world.service, rng)
    own, its = (predictions(scenario(kind).predictor, e) for e in (episode, other.episode))
    assert np.array_equal(own[other.before], its[other.after])


@pytest.mark.parametrize("kind", NOT_BLIND)
def test_the_same_change_shows_in_predictors_that_read_the_truth(kind: str) -> None:
    episode, rng = bare(3), np.random.default_rng(3)
    executed, visible = draw_progress(episode, rng)
    other = rewrite(episode, executed, visible, executed, scenario(kind).world.service, rng)
    own, its = (predictions(scenario(kind).predictor, e) for e in (episode, other.episode))
    assert not np.array_equal(own[other.before], its[other.after])


@pytest.mark.parametrize("kind", ["boosted", "role_median"])
def test_what_has_been_executed_does_show(kind: str) -> None:
    """The features are not simply blind: longer outputs of executed stages change what is said of later ones."""
    episode = bare(3)
    longer = episode._replace(hidden=episode.hidden.copy())
    longer.hidden["output_tokens"] = longer.hidden["output_tokens"] * 3 + 500
    own, its = (predictions(scenario(kind).predictor, e) for e in (episode, longer))
    changed = own["output_q50_tokens"] != its["output_q50_tokens"]
    assert changed.any() == (kind == "boosted")
    assert not changed[episode.hidden["num_parents"] == 0].any()


class Seen(NamedTuple):
    """What was done up to a time: the stages' records, and promotions and demotions."""

    stages: np.ndarray
    log: np.ndarray


def run_to(now_s: float, kind: str, policy: str, episode: Episode) -> Seen:
    place = scenario(kind)
    params = place.world.params.copy()
    params["horizon_s"] = params["drain_cap_s"] = now_s
    simulation = Simulation(place.world._replace(params=params), log_residency=True)
    service = place.world.service
    simulation.load(0, record(episode, service, place.predictor.guess(episode, service, 5)), key=1)
    run_until(open_engine(simulation, load_policy(policy, place)), 0, 0)
    view, _, core = simulation.state
    log = np.array(core.residency_log[0, : core.residency_len[0]])
    return Seen(np.array(view.stages[0, : len(episode.stages)]), log[log["time_s"] <= now_s])


ACTED = ("ready_s", "sent_s", "queued_s", "admitted_s", "preemptions")


def acts_alike(kind: str, policy: str, key: int, now_s: float, seed: int) -> bool:
    """Run to a time, change what has not been executed by then, and see whether another run does anything else."""
    episode = bare(key, horizon_s=20.0)
    stages, log = run_to(now_s, kind, policy, episode)
    executed, visible = stages["finished_s"] <= now_s, stages["ready_s"] <= now_s
    # A running stage has shown that it is not yet done; its length is left alone, as is a gap under way.
    fixed = executed | (stages["admitted_s"] <= now_s)
    service = scenario(kind).world.service
    other = rewrite(episode, executed, visible, fixed, service, np.random.default_rng(seed))
    its_stages, its_log = run_to(now_s, kind, policy, other.episode)
    own, its = stages[other.before], its_stages[other.after]
    alike = np.array_equal(log, its_log)
    for name in ACTED:
        early = own[name] <= now_s
        alike &= np.array_equal(early, its[name] <= now_s) and np.array_equal(own[name][early], its[name][early])
    sent = own["sent_s"] <= now_s
    return alike and all(np.array_equal(own[name][sent], its[name][sent]) for name in ("cluster", "node"))


@pytest.mark.parametrize("policy", ["maestro", "srtf", "edf"])
@pytest.mark.parametrize("kind", BLIND)
@settings(max_examples=4, deadline=None)
@given(key=st.integers(0, 2**40), now_s=st.floats(4.0, 19.0), seed=st.integers(0, 2**32))
def test_another_future_changes_no_action_before_it_begins(
    kind: str, policy: str, key: int, now_s: float, seed: int
) -> None:
    assert acts_alike(kind, policy, key, now_s, seed)


@pytest.mark.parametrize("kind", NOT_BLIND)
def test_the_same_change_does_move_a_policy_that_is_told_the_truth(kind: str) -> None:
    # Three episodes in ten are crowded enough for the order of a queue to change.
    assert not all(acts_alike(kind, "srtf", key, 19.0, key) for key in range(10))
