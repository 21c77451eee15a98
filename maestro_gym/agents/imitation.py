"""Learning by imitation, before PPO: copy the rule that the agent stands in for.

DAgger (Ross, Gordon and Bagnell, AISTATS 2011, arXiv 1011.0686): teacher and learner share the steering, the
teacher's part falls from all to nothing, and whoever steers, the lesson is what the teacher would have done.
The critic learns returns meanwhile, so that PPO does not begin with a good actor and a blind critic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from maestro_gym.envs.batch.own_rule import NO_ANSWER

if TYPE_CHECKING:
    from maestro_gym.agents.ppo import ContinuousTimePPO


def guided(chosen: np.ndarray, lesson: np.ndarray, guidance: float) -> np.ndarray:
    """Let the teacher steer some of the environments.

    Args:
        chosen: the learner's actions, int64, shape (E,).
        lesson: the teacher's, `NO_ANSWER` where it has none.
        guidance: probability that the teacher steers; drawn from torch's generator, whose state a checkpoint holds.

    Returns:
        Actions, int64, shape (E,).
    """
    steered = torch.rand(len(chosen)).numpy() < guidance
    return np.where(steered & (lesson != NO_ANSWER), lesson, chosen)


def imitate(model: ContinuousTimePPO) -> None:
    """Update a model from a rollout whose actions are lessons.

    The loss is the cross entropy of the lessons plus the critic's squared error, over as many passes and minibatches
    as an update of PPO.

    Args:
        model: its ``rollout_buffer`` is full.
    """
    policy: Any = model.policy
    policy.set_training_mode(True)
    model._update_learning_rate(policy.optimizer)
    entropies, errors, agreements = [], [], []
    for _ in range(model.n_epochs):
        for samples in model.rollout_buffer.get(model.batch_size):
            lessons = samples.actions.long().flatten()
            known = lessons != NO_ANSWER
            values, log_prob, _ = policy.evaluate_actions(
                samples.observations,
                lessons.clamp(min=0),
                action_masks=samples.action_masks,  # type: ignore[attr-defined] - of a maskable buffer
            )
            cross_entropy = -(log_prob * known).sum() / known.sum().clamp(min=1)
            value_loss = functional.mse_loss(values.flatten(), samples.returns)
            policy.optimizer.zero_grad()
            (cross_entropy + model.vf_coef * value_loss).backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), model.max_grad_norm)
            policy.optimizer.step()
            entropies.append(cross_entropy.item())
            errors.append(value_loss.item())
            agreements.append((log_prob.detach().exp() * known).sum().item() / max(int(known.sum()), 1))
        model._n_updates += 1
    model.logger.record("train/imitation_loss", np.mean(entropies))
    model.logger.record("train/agreement_with_companions", np.mean(agreements))
    model.logger.record("train/value_loss", np.mean(errors))
    model.logger.record("train/n_updates", model._n_updates, exclude="tensorboard")
