from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces

from maestro_gym.agents.actor_critic import CandidatePolicy
from maestro_gym.agents.ppo import ContinuousTimePPO, ContinuousTimeRolloutBuffer, RewardScale, guided
from maestro_gym.envs.batch.own_rule import NO_ANSWER
from tests.agents.stand_in import EPISODE_STEPS, StandInVecEnv

HORIZON_S = 10.0


def _buffer(steps: int, gae_lambda: float) -> ContinuousTimeRolloutBuffer:
    observation = spaces.Dict({"context": spaces.Box(-1, 1, (1,), np.float32)})
    return ContinuousTimeRolloutBuffer(
        steps, observation, spaces.Discrete(2), "cpu", gae_lambda=gae_lambda, discount_horizon_s=HORIZON_S
    )


def _fill(buffer: ContinuousTimeRolloutBuffer, rewards: list[float], dt_s: list[float], **more: list[float]) -> None:
    for step, reward in enumerate(rewards):
        buffer.add(
            {"context": np.zeros((1, 1), np.float32)},
            np.zeros((1, 1)),
            np.array([reward]),
            np.array([more.get("starts", [0.0] * 9)[step]]),
            torch.tensor([[more["values"][step]]]),
            torch.zeros(1),
            dt_s=np.array([dt_s[step]]),
            terminal_values=np.array([more.get("terminal", [0.0] * 9)[step]]),
        )


def test_a_return_discounts_by_the_time_that_passed_not_by_the_number_of_decisions() -> None:
    buffer = _buffer(3, gae_lambda=1.0)
    _fill(buffer, [1.0, 2.0, 4.0], [0.0, 5.0, 10.0], values=[0.3, 0.2, 0.1])
    buffer.compute_returns_and_advantage(torch.tensor([[8.0]]), np.array([False]))
    half, full = math.exp(-0.5), math.exp(-1.0)
    expected = [1.0 + 2.0 + half * (4.0 + full * 8.0), 2.0 + half * (4.0 + full * 8.0), 4.0 + full * 8.0]
    np.testing.assert_allclose(buffer.returns[:, 0], expected, rtol=1e-6)


def test_an_advantage_is_generalised_advantage_estimation_with_a_discount_per_transition() -> None:
    buffer = _buffer(2, gae_lambda=0.9)
    _fill(buffer, [1.0, 2.0], [2.0, 3.0], values=[0.5, 0.25])
    buffer.compute_returns_and_advantage(torch.tensor([[1.5]]), np.array([False]))
    first, second = math.exp(-0.2), math.exp(-0.3)
    later = 2.0 + second * 1.5 - 0.25
    np.testing.assert_allclose(
        buffer.advantages[:, 0], [1.0 + first * 0.25 - 0.5 + first * 0.9 * later, later], rtol=1e-6
    )


@pytest.mark.parametrize(("terminal", "expected"), [(0.0, 3.0), (7.0, 3.0 + 7.0 * math.exp(-0.4))])
def test_an_episode_that_was_cut_off_is_worth_its_last_state_and_one_that_ended_nothing(
    terminal: float, expected: float
) -> None:
    buffer = _buffer(2, gae_lambda=1.0)
    _fill(buffer, [3.0, 1.0], [4.0, 1.0], values=[0.0, 0.0], starts=[0.0, 1.0], terminal=[terminal, 0.0])
    buffer.compute_returns_and_advantage(torch.tensor([[100.0]]), np.array([False]))
    assert buffer.returns[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("truncate", [True, False])
def test_collected_rollouts_value_the_last_state_of_cut_off_episodes_alone(truncate: bool) -> None:
    env = StandInVecEnv(4, truncate=truncate)
    model = ContinuousTimePPO(CandidatePolicy, env, n_steps=EPISODE_STEPS, batch_size=8, n_epochs=1, device="cpu")
    model.learn(4 * EPISODE_STEPS)
    values = model.rollout_buffer.terminal_values
    assert not values[:-1].any()
    assert values[-1].all() == truncate


def test_rewards_are_divided_by_what_a_policy_pays_in_a_discount_horizon() -> None:
    scale = RewardScale(HORIZON_S)
    assert scale.divisor == 1.0
    scale.update(np.full((5, 2), -3.0), np.full((5, 2), 0.5))
    assert scale.divisor == pytest.approx(3.0 / 0.5 * HORIZON_S)
    other = RewardScale(HORIZON_S)
    other.restore(scale.state())
    assert other.divisor == scale.divisor
    assert RewardScale(HORIZON_S, enabled=False).divisor == 1.0


def test_a_teacher_steers_as_often_as_its_share_and_never_without_an_answer() -> None:
    torch.manual_seed(0)
    chosen, lesson = np.zeros(100_000, np.int64), np.ones(100_000, np.int64)
    lesson[::2] = NO_ANSWER
    assert guided(chosen, lesson, 0.0).sum() == 0
    assert guided(chosen, lesson, 1.0)[1::2].all()
    some = guided(chosen, lesson, 0.3)
    assert not some[::2].any()
    assert abs(some[1::2].mean() - 0.3) < 0.01
