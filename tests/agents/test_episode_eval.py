"""Validation episodes beside Stable-Baselines3's learners."""

import math
from pathlib import Path

import pytest
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO

from maestro_gym.agents import EpisodeMetricsEval
from maestro_gym.core.errors import ArgumentValueError
from maestro_gym.envs import MaestroVecEnv

FLEET = {"overrides": ["horizon_s=5", "drain_s=30"]}
SMALL = {"device": "cpu", "policy_kwargs": {"net_arch": [8]}, "seed": 0}


def _unseen(**options: object) -> MaestroVecEnv:
    return MaestroVecEnv("cluster", 2, split="validation", evaluation=True, **FLEET, **options)


def _learn(watch: EpisodeMetricsEval, decisions: int = 192, learning_rate: float = 3e-4) -> None:
    env = MaestroVecEnv("cluster", 2, seed=0, **FLEET)
    model = PPO("MultiInputPolicy", env, n_steps=32, batch_size=64, learning_rate=learning_rate, **SMALL)
    model.learn(decisions, callback=watch)


def test_it_plays_after_so_many_decisions_and_tells_the_model_beside_the_reference() -> None:
    watch = EpisodeMetricsEval(_unseen(compare_with="maestro"), 64, verbose=0)
    _learn(watch)
    assert len(watch.scores) == 3
    assert watch.best == max(watch.scores)
    assert 0.0 <= watch.reference <= 1.0


def test_a_policy_that_does_not_change_gets_the_same_score_every_time() -> None:
    watch = EpisodeMetricsEval(_unseen(), 32, episodes=3, metric="completion_mean_s", verbose=0)
    _learn(watch, 128, learning_rate=0.0)
    assert len(set(watch.scores)) == 1
    assert math.isnan(watch.reference)


def test_training_ends_when_patience_does_and_the_best_model_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "best.zip"
    watch = EpisodeMetricsEval(_unseen(), 32, patience=2, path=path, verbose=0)
    _learn(watch, 100_000, learning_rate=0.0)
    assert len(watch.scores) == 3
    assert PPO.load(path).num_timesteps == 32


def test_of_a_metric_whose_lower_values_are_better_the_lowest_is_best() -> None:
    watch = EpisodeMetricsEval(_unseen(), 64, metric="completion_mean_s", verbose=0)
    _learn(watch)
    assert watch.best == min(watch.scores)


@pytest.mark.parametrize(
    ("algorithm", "settings"), [(MaskablePPO, {"n_steps": 32, "batch_size": 64}), (DQN, {"buffer_size": 100})]
)
def test_learners_with_masks_and_without_are_judged_alike(algorithm: type, settings: dict[str, int]) -> None:
    # An illegal action of a learner with masks would be an error here.
    unseen = _unseen(illegal="raise" if algorithm is MaskablePPO else "replace")
    watch = EpisodeMetricsEval(unseen, 32, verbose=0)
    env = MaestroVecEnv("cluster", 2, seed=0, **FLEET)
    algorithm("MultiInputPolicy", env, **settings, **SMALL).learn(64, callback=watch)
    assert watch.scores


def test_a_metric_without_a_better_side_is_refused() -> None:
    with pytest.raises(ArgumentValueError, match=r"metric='wakes' has no better side"):
        EpisodeMetricsEval(_unseen(), 64, metric="wakes")


def test_no_distance_between_evaluations_is_refused() -> None:
    with pytest.raises(ArgumentValueError, match=r"every_steps=0"):
        EpisodeMetricsEval(_unseen(), 0)
