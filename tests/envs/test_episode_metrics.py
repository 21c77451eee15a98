"""What an episode says of itself at its end: the metrics of a comparison, in every form of the environments."""

import gymnasium
import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.envs.sb3 import MaestroVecEnv
from maestro_gym.episodes.metrics.row import metric_columns, result_row
from maestro_gym.episodes.run import run_episode
from tests.envs.walks import TIERS, make, make_vec

OVERRIDES = ("horizon_s=60", "contention=high")


def _by_the_companions(env: gymnasium.Env, seed: int) -> dict:
    """Last info of an episode in which the agent does what its tier's own rule would do."""
    env.reset(seed=seed)
    over = False
    while not over:
        answer = max(0, int(env.batch.own_answers()[0]))
        *_, terminated, truncated, info = env.step(np.int64(answer))
        over = terminated or truncated
    return info


@pytest.mark.parametrize("tier", TIERS)
def test_an_evaluation_episode_tells_what_a_comparison_would(tier: str) -> None:
    env = make(tier, overrides=OVERRIDES, evaluation=True, split="test")
    told = _by_the_companions(env, 3)["episode_metrics"]
    scenario = env.batch.scenario
    row = result_row(run_episode(scenario, load_policy("maestro", scenario), "test", 3, 0, samples=0))
    assert list(told) == metric_columns()
    for name in ("slo_attainment", "completion_mean_s", "ttft_mean_s", "cold_starts", "kv_used_mean_bytes"):
        assert told[name] == row[name], name


@pytest.mark.parametrize("evaluation", [False, True])
def test_the_other_policy_plays_the_same_episode_to_the_same_end(evaluation: bool) -> None:
    env = make("cluster", overrides=OVERRIDES, compare_with="maestro", evaluation=evaluation)
    info = _by_the_companions(env, 3)
    ours, theirs = info["episode_metrics"], info["reference_metrics"]
    for name in ("slo_attainment", "completion_mean_s", "ttft_mean_s"):
        assert ours[name] == theirs[name], name
    other = make("cluster", overrides=OVERRIDES, compare_with="fcfs", evaluation=evaluation)
    assert _by_the_companions(other, 3)["reference_metrics"]["completion_mean_s"] != ours["completion_mean_s"]


def test_a_training_episode_is_measured_on_workflows_that_were_due_by_its_horizon() -> None:
    env = make("cluster", overrides=OVERRIDES)
    told = _by_the_companions(env, 1)["episode_metrics"]
    workflows = env.batch.state.visible.workflows[0][: len(env.batch.episode(0).workflows)]
    due = workflows["deadline_s"] <= 60.0
    met = workflows["finished_s"] <= workflows["deadline_s"]
    assert 0 < due.sum() < len(workflows)
    assert told["slo_attainment"] == pytest.approx((due & met).sum() / due.sum())


def test_the_vector_and_stable_baselines_tell_the_same_as_the_single_environment() -> None:
    single = _by_the_companions(make("cluster", overrides=OVERRIDES), 5)["episode_metrics"]
    vector = make_vec("cluster", 2, overrides=OVERRIDES)
    vector.reset(seed=4)
    sb3 = MaestroVecEnv("cluster", 2, seed=4, overrides=OVERRIDES)
    sb3.reset()
    by_vector = by_sb3 = None
    while by_vector is None:
        infos = vector.step(np.maximum(vector.batch.own_answers(), 0))[-1]
        if "final_info" in infos and infos["_final_info"][1]:
            by_vector = {k: v[1] for k, v in infos["final_info"]["episode_metrics"].items() if k[0] != "_"}
    while by_sb3 is None:
        by_sb3 = sb3.step(np.maximum(sb3.own_answers(), 0))[-1][1].get("episode_metrics")
    for other in (by_vector, by_sb3):
        assert other.keys() == single.keys()
        np.testing.assert_array_equal(list(other.values()), list(single.values()))
