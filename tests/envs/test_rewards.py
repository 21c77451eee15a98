"""Rewards: what they add up to, and what a user may put in their place."""

import math
import subprocess
import sys

import numpy as np
import pytest

from maestro_gym.envs import RewardConfig, discount
from maestro_gym.envs.batch.buffers import REWARD_COUNTERS
from maestro_gym.envs.reward import reward_unit_s
from tests.envs.walks import TIERS, make, walk


@pytest.mark.parametrize("tier", TIERS)
def test_residence_adds_up_to_the_weighted_time_of_workflows_in_the_system(tier: str) -> None:
    env = make(tier)
    rows = walk(env, 2)
    end_s = rows[-1][3]["sim_time_s"]
    truth = env.batch.scenario.episode("train", 2, 0).workflows
    finished_s = env.batch.state.visible.workflows[0]["finished_s"][: len(truth)]
    present_s = np.clip(np.minimum(finished_s, end_s) - truth["arrival_s"], 0.0, None)
    total = sum(info["reward_terms"]["residence"] for *_, info in rows)
    assert total == pytest.approx(-(truth["weight"] * present_s).sum(), rel=1e-9)


def test_a_reward_is_the_sum_of_its_terms() -> None:
    for _, reward, _, info in walk(make("joint"), 0, 60):
        assert reward == pytest.approx(sum(info["reward_terms"].values()))


def test_simulated_time_is_the_sum_of_the_steps() -> None:
    rows = walk(make("cluster"), 0)
    total = sum(info["dt_s"] for *_, info in rows)
    assert rows[0][3]["sim_time_s"] + total == pytest.approx(rows[-1][3]["sim_time_s"])


def test_slo_terms_count_each_workflow_once() -> None:
    env = make("cluster", overrides=("contention=low", "horizon_s=60"), reward=RewardConfig(0.0, 1.0, 1.0, 0.0, 0.0))
    rows = walk(env, 0)
    met_less_missed = sum(reward for _, reward, _, _ in rows)
    workflows = env.batch.state.visible.workflows[0]
    done = np.isfinite(workflows["finished_s"]) & np.isfinite(workflows["arrival_s"])
    met = done & (workflows["finished_s"] <= workflows["deadline_s"])
    assert done.any()
    assert met_less_missed == pytest.approx(workflows["weight"][met].sum() - workflows["weight"][done & ~met].sum())


class CountStages:
    """A user's reward: one a finished stage."""

    term_names = ("stages",)

    def __call__(self, deltas: np.ndarray, dt_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        stages = deltas[:, REWARD_COUNTERS.index("stages_finished")]
        return stages, stages[:, None]


def test_a_reward_of_ones_own_takes_the_place_of_the_default() -> None:
    env = make("cluster", reward=CountStages())
    rows = walk(env, 0)
    assert sum(reward for _, reward, _, _ in rows) == env.batch.state.core.counters[0]["stages_finished"]
    assert list(rows[-1][3]["reward_terms"]) == ["stages"]


def test_slo_weight_scales_the_slo_terms_alone() -> None:
    plain, doubled = RewardConfig(), RewardConfig.with_slo_weight(2.0)
    assert doubled.slo_missed == 2.0 * plain.slo_missed
    assert doubled.ttft_missed == 2.0 * plain.ttft_missed
    assert doubled.residence == plain.residence


def test_discount_multiplies_over_time_whatever_the_number_of_decisions() -> None:
    assert discount(0.0, 120.0) == 1.0
    assert discount(30.0, 120.0) * discount(90.0, 120.0) == pytest.approx(math.exp(-1.0))
    np.testing.assert_allclose(discount(np.array([0.0, 120.0]), 120.0), [1.0, math.exp(-1.0)])


def test_a_normalised_reward_of_minus_one_is_a_stages_share_of_a_workflow_that_takes_all_its_time() -> None:
    env, weighted = make("cluster", reward="normalised"), make("cluster")
    past = env.batch.scenario.workload.history(512, env.batch.scenario.world.service)
    allowed_s = (past.workflows["weight"] * (past.workflows["deadline_s"] - past.workflows["arrival_s"])).sum()
    ours, theirs = (sum(row[1] for row in walk(each, 0)) for each in (env, weighted))
    assert ours == pytest.approx(theirs / (allowed_s / len(past.stages)), rel=1e-9)
    assert reward_unit_s(env.batch.scenario) == pytest.approx(allowed_s / len(past.stages))


VERSIONS = """
import gymnasium, maestro_gym
assert not [name for name in gymnasium.registry if name.startswith("Maestro/") and name.endswith("-v1")]
one = gymnasium.make("maestro_gym.v1:Maestro/Cluster-v1").unwrapped
many = gymnasium.make_vec("maestro_gym.v1:Maestro/Cluster-v1", num_envs=2)
other = gymnasium.make("maestro_gym.v1:Maestro/Cluster-v1", reward="weighted").unwrapped
zero = gymnasium.make("Maestro/Cluster-v0").unwrapped
from maestro_gym.envs.sb3 import MaestroVecEnv
sb3 = [MaestroVecEnv(f"Maestro/Cluster-v{v}", 1) for v in (0, 1)]
print([env.batch.options.reward for env in (one, many, other, zero, *sb3)])
"""


def test_version_1_is_paid_the_normalised_reward_and_version_0_what_it_was() -> None:
    done = subprocess.run([sys.executable, "-c", VERSIONS], capture_output=True, text=True, timeout=500, check=True)
    assert done.stdout.strip() == "['normalised', 'normalised', 'weighted', 'weighted', 'weighted', 'normalised']"
