"""MaskablePPO for decisions that take simulated time: the whole algorithm, from top to bottom.

`RewardScale` brings returns to the order of one, `ContinuousTimeRolloutBuffer` estimates advantages under the discount
exp(-dt / horizon), `guided` lets a teacher steer, and `ContinuousTimePPO` is the loop: collect, learn, repeat. The
clipped loss itself is sb3-contrib's, unmodified; `ContinuousTimePPO.train` names what it logs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer, MaskableDictRolloutBufferSamples
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch.nn import functional

from maestro_gym.envs.batch.own_rule import NO_ANSWER

_MEMORY = 0.98  # per rollout: the scale follows the policy over some fifty rollouts


class RewardScale:
    """Divides rewards by the size of a discounted return under the present policy.

    A policy that pays c = E|r| / E[dt] a second has returns of about c / beta under the discount
    exp(-beta * dt). Both expectations are running sums that forget slowly. Unlike the spread of returns
    accumulated so far (``VecNormalize``), this is right from the first rollout on, long before an
    environment has lived for one discount horizon.

    Attributes:
        horizon_s: 1 / beta, in seconds.
        enabled: Whether rewards are divided; False leaves them as they are.
    """

    def __init__(self, horizon_s: float, *, enabled: bool = True) -> None:
        """Start without any observation.

        Args:
            horizon_s: 1 / beta, in seconds.
            enabled: Whether rewards are divided; False leaves them as they are.
        """
        self.horizon_s = horizon_s
        self.enabled = enabled
        self._paid = 0.0
        self._elapsed_s = 0.0

    def update(self, rewards: np.ndarray, dt_s: np.ndarray) -> None:
        """Take in a rollout.

        Args:
            rewards: Rewards as the environments paid them, any shape.
            dt_s: Simulated time that each spans, of the same shape, in seconds.
        """
        self._paid = _MEMORY * self._paid + float(np.abs(rewards, dtype=np.float64).sum())
        self._elapsed_s = _MEMORY * self._elapsed_s + float(dt_s.sum(dtype=np.float64))

    @property
    def divisor(self) -> float:
        """The number that rewards are divided by; 1 before anything was paid or any time has passed."""
        if not self.enabled or self._paid <= 0.0 or self._elapsed_s <= 0.0:
            return 1.0
        return self._paid / self._elapsed_s * self.horizon_s

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON."""
        return {"paid": self._paid, "elapsed_s": self._elapsed_s}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._paid = float(state["paid"])
        self._elapsed_s = float(state["elapsed_s"])


class ContinuousTimeRolloutBuffer(MaskableDictRolloutBuffer):
    """A rollout whose transitions take time of their own.

    Generalised advantage estimation (Schulman et al., arXiv 1506.02438) over a semi-Markov process:
    delta_t = r_t + gamma_t * V(s_{t+1}) - V(s_t) and A_t = delta_t + gamma_t * lambda * A_{t+1} with
    gamma_t = exp(-dt_t / horizon_s). A per-decision gamma would reward a policy for inserting decisions.

    Attributes:
        dt_s: Simulated time of each transition in seconds, float32, shape (n_steps, n_envs).
        terminal_values: Value of the last observation of an episode that was cut off at its horizon, 0 elsewhere;
            float32, shape (n_steps, n_envs).
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - Stable-Baselines3's
        discount_horizon_s: float = 120.0,
        **kwargs: Any,  # noqa: ANN401 - Stable-Baselines3's
    ) -> None:
        """Allocate the buffer.

        Args:
            *args: Arguments of ``MaskableDictRolloutBuffer``.
            discount_horizon_s: 1 / beta, in seconds.
            **kwargs: Arguments of ``MaskableDictRolloutBuffer``; ``gamma`` is not used.
        """
        self.discount_horizon_s = discount_horizon_s
        super().__init__(*args, **kwargs)

    def reset(self) -> None:
        """Empty the buffer."""
        self.dt_s = np.zeros((self.buffer_size, self.n_envs), dtype=np.float32)
        self.terminal_values = np.zeros((self.buffer_size, self.n_envs), dtype=np.float32)
        super().reset()

    def add(
        self,
        *args: Any,  # noqa: ANN401 - Stable-Baselines3's
        dt_s: np.ndarray | None = None,
        terminal_values: np.ndarray | None = None,
        **kwargs: Any,  # noqa: ANN401 - Stable-Baselines3's
    ) -> None:
        """Append one step of all environments.

        Args:
            *args: Arguments of ``MaskableDictRolloutBuffer.add``, with rewards as the environment paid them.
            dt_s: Time that the step took, float, shape (n_envs,).
            terminal_values: One row of the attribute of this name, float, shape (n_envs,).
            **kwargs: ``action_masks``.
        """
        if dt_s is not None:
            self.dt_s[self.pos] = dt_s
        if terminal_values is not None:
            self.terminal_values[self.pos] = terminal_values
        super().add(*args, **kwargs)

    @property
    def gammas(self) -> np.ndarray:
        """The discount of each transition, float32, shape (n_steps, n_envs)."""
        return np.exp(-self.dt_s / np.float32(self.discount_horizon_s))

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        """Estimate advantages and returns.

        Args:
            last_values: Values of the observations after the last step, shape (n_envs, 1).
            dones: Whether the last step ended an episode, shape (n_envs,).
        """
        following = last_values.detach().cpu().numpy().flatten()
        going_on = 1.0 - dones.astype(np.float32)
        gammas = self.gammas
        advantage = np.zeros(self.n_envs, dtype=np.float32)
        for step in reversed(range(self.buffer_size)):
            # An episode that ended is followed by nothing, one that was cut off by its own last state.
            beyond = following * going_on + self.terminal_values[step]
            delta = self.rewards[step] + gammas[step] * beyond - self.values[step]
            advantage = delta + gammas[step] * self.gae_lambda * going_on * advantage
            self.advantages[step] = advantage
            following = self.values[step]
            going_on = 1.0 - self.episode_starts[step]
        self.returns = self.advantages + self.values

    def get(self, batch_size: int | None = None) -> Generator[MaskableDictRolloutBufferSamples, None, None]:
        """Yield the rollout in minibatches, shuffled by torch's generator, whose state a checkpoint holds.

        Args:
            batch_size: Samples of a minibatch; None yields all at once.
        """
        total = self.buffer_size * self.n_envs
        order = torch.randperm(total).numpy()
        if not self.generator_ready:
            self.observations = {key: self.swap_and_flatten(value) for key, value in self.observations.items()}
            for name in ("actions", "values", "log_probs", "advantages", "returns", "action_masks"):
                setattr(self, name, self.swap_and_flatten(getattr(self, name)))
            self.generator_ready = True
        for start in range(0, total, batch_size or total):
            yield self._get_samples(order[start : start + (batch_size or total)])


def guided(chosen: np.ndarray, lesson: np.ndarray, guidance: float) -> np.ndarray:
    """Let the teacher steer some of the environments.

    Args:
        chosen: Actions of the learner, int64, shape (E,).
        lesson: Actions of the teacher, `NO_ANSWER` where it has none, int64, shape (E,).
        guidance: Probability that the teacher steers; drawn from torch's generator, whose state a checkpoint holds.

    Returns:
        Actions, int64, shape (E,).
    """
    steered = torch.rand(len(chosen)).numpy() < guidance
    return np.where(steered & (lesson != NO_ANSWER), lesson, chosen)


class ContinuousTimePPO(MaskablePPO):
    """MaskablePPO with the discount exp(-dt / horizon), and rewards scaled to returns of the order of one.

    The rollout differs from sb3-contrib: every transition has its own discount, also where an episode was cut off
    and the value of its last state stands for the rest; those states are valued in one batch. And learning may begin
    with imitation: the first updates copy the rule that the agent stands in for, the others are PPO's. That is DAgger
    (Ross, Gordon and Bagnell, AISTATS 2011, arXiv 1011.0686): teacher and learner share the steering, the teacher's
    part falls from all to nothing, and whoever steers, the lesson is what the teacher would have done.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - Stable-Baselines3's
        discount_horizon_s: float = 120.0,
        reward_scaling: bool = True,
        imitation_steps: int = 0,
        **kwargs: Any,  # noqa: ANN401 - Stable-Baselines3's
    ) -> None:
        """Build the model and its buffer.

        Args:
            *args: Arguments of ``MaskablePPO``.
            discount_horizon_s: 1 / beta, in seconds.
            reward_scaling: Whether rewards are divided by the size of a return.
            imitation_steps: Decisions of the rollouts that are imitated from, before PPO begins.
            **kwargs: Arguments of ``MaskablePPO``; ``gamma`` has no effect.
        """
        self.discount_horizon_s = discount_horizon_s
        self.imitation_steps = imitation_steps
        self._imitates = False
        self.reward_scale = RewardScale(discount_horizon_s, enabled=reward_scaling)
        kwargs["rollout_buffer_class"] = ContinuousTimeRolloutBuffer
        kwargs["rollout_buffer_kwargs"] = {"discount_horizon_s": discount_horizon_s}
        super().__init__(*args, **kwargs)

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
        use_masking: bool = True,
    ) -> bool:
        """Fill the buffer with decisions of the present policy.

        Args:
            env: The environments; they have ``last_dt_s``, float, shape (n_envs,), the simulated time of the last
                step, and for imitation ``own_answers()``.
            callback: Told of every step.
            rollout_buffer: A ``ContinuousTimeRolloutBuffer``.
            n_rollout_steps: Decisions of each environment.
            use_masking: Whether only legal actions are sampled.

        Returns:
            False when the callback asked to stop.
        """
        assert isinstance(rollout_buffer, ContinuousTimeRolloutBuffer)
        assert self._last_obs is not None
        seen: Any = self._last_obs
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        dones = np.zeros(env.num_envs, dtype=bool)
        guidance = max(0.0, 1.0 - self.num_timesteps / self.imitation_steps) if self.imitation_steps else 0.0
        self._imitates = guidance > 0.0
        for _ in range(n_rollout_steps):
            masks = get_action_masks(env) if use_masking else None
            with torch.no_grad():
                chosen, values, log_probs = self.policy(obs_as_tensor(seen, self.device), action_masks=masks)
            lesson = actions = chosen.cpu().numpy()
            if self._imitates:
                lesson = env.own_answers()  # type: ignore[attr-defined] - of every environment with companions
                actions = guided(actions, lesson, guidance)
            observations, rewards, dones, infos = env.step(actions)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            rollout_buffer.add(
                seen,
                lesson.reshape(-1, 1),
                rewards,
                self._last_episode_starts,
                values,
                log_probs,
                action_masks=masks,
                dt_s=env.last_dt_s,  # type: ignore[attr-defined] - of every environment that takes simulated time
                terminal_values=self._terminal_values(dones, infos),
            )
            self._last_obs = seen = observations  # type: ignore[assignment] - a Dict space has no tuples
            self._last_episode_starts = dones
        self._scale_rewards(rollout_buffer)
        with torch.no_grad():
            last_values = self.policy.predict_values(obs_as_tensor(seen, self.device))
        rollout_buffer.compute_returns_and_advantage(last_values=last_values, dones=dones)
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Learn from the rollout: imitate its lessons, or make PPO's update.

        PPO's update is sb3-contrib's. It logs ``train/policy_gradient_loss`` (the clipped surrogate),
        ``train/value_loss`` (the critic's squared error), ``train/entropy_loss`` (minus the entropy), ``train/loss``
        (their weighted sum, of the last minibatch), ``train/approx_kl``, ``train/clip_fraction``, ``train/clip_range``,
        ``train/explained_variance`` (of the returns, by the critic), ``train/learning_rate`` and ``train/n_updates``.
        """
        if self._imitates:
            self._imitate()
        else:
            super().train()

    def _imitate(self) -> None:
        """Copy the teacher, in as many passes and minibatches as an update of PPO.

        The critic learns returns meanwhile, so that PPO does not begin with a good actor and a blind critic.
        """
        policy: Any = self.policy
        policy.set_training_mode(True)
        self._update_learning_rate(policy.optimizer)
        entropies, errors, agreements = [], [], []
        for _ in range(self.n_epochs):
            for samples in self.rollout_buffer.get(self.batch_size):
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
                (cross_entropy + self.vf_coef * value_loss).backward()
                torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
                policy.optimizer.step()
                entropies.append(cross_entropy.item())
                errors.append(value_loss.item())
                agreements.append((log_prob.detach().exp() * known).sum().item() / max(int(known.sum()), 1))
            self._n_updates += 1
        self.logger.record("train/imitation_loss", np.mean(entropies))
        self.logger.record("train/agreement_with_companions", np.mean(agreements))
        self.logger.record("train/value_loss", np.mean(errors))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def learn_until(
        self, steps: int, total: int, callbacks: list[BaseCallback], after_update: Callable[[], None]
    ) -> None:
        """Alternate rollouts and updates; the schedule of the learning rate always spans the whole training.

        Args:
            steps: Decisions after which to stop, those before this call included.
            total: Decisions of the whole training.
            callbacks: Told of every step and rollout.
            after_update: Called after every update, before its numbers are written.
        """
        if self.num_timesteps >= steps:
            return
        env = self.env
        assert env is not None
        first = self.num_timesteps == 0
        _, callback = self._setup_learn(
            total - self.num_timesteps,
            callbacks,  # type: ignore[arg-type] - a list is what Stable-Baselines3 makes one callback of
            reset_num_timesteps=first,
            tb_log_name="learning",
        )
        callback.on_training_start(locals(), globals())
        while self.num_timesteps < steps:
            self.collect_rollouts(env, callback, self.rollout_buffer, self.n_steps)
            self._update_current_progress_remaining(self.num_timesteps, total)
            self.train()
            after_update()
            self.logger.dump(self.num_timesteps)
        callback.on_training_end()

    def _terminal_values(self, dones: np.ndarray, infos: list[dict[str, Any]]) -> np.ndarray:
        """Values of the last observations of episodes that were cut off, 0 for all others."""
        values = np.zeros(len(dones), dtype=np.float32)
        cut = [e for e in np.flatnonzero(dones) if infos[e].get("TimeLimit.truncated", False)]
        if cut:
            lasts = [infos[e]["terminal_observation"] for e in cut]
            stacked = {key: np.stack([last[key] for last in lasts]) for key in lasts[0]}
            with torch.no_grad():
                values[cut] = self.policy.predict_values(obs_as_tensor(stacked, self.device)).cpu().numpy().flatten()
        return values

    def _scale_rewards(self, rollout_buffer: ContinuousTimeRolloutBuffer) -> None:
        """Bring the rewards of a complete rollout to one scale, before anything is estimated from them."""
        self.reward_scale.update(rollout_buffer.rewards, rollout_buffer.dt_s)
        self.logger.record("rollout/reward_per_decision", float(rollout_buffer.rewards.mean()))
        self.logger.record("rollout/dt_mean_s", float(rollout_buffer.dt_s.mean()))
        self.logger.record("rollout/reward_divisor", self.reward_scale.divisor)
        rollout_buffer.rewards /= np.float32(self.reward_scale.divisor)
