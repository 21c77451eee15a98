"""MaskablePPO for decisions that take simulated time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv

from maestro_gym.agents.imitation import guided, imitate
from maestro_gym.agents.reward_scale import RewardScale
from maestro_gym.agents.rollout import ContinuousTimeRolloutBuffer


class ContinuousTimePPO(MaskablePPO):
    """MaskablePPO with the discount exp(-dt / horizon), and rewards scaled to returns of the order of one.

    The rollout differs from sb3-contrib: a transition's own discount, also where an episode was cut off and its
    last state's value stands for the rest; those states are valued in one batch. And learning may begin with
    imitation: the first updates copy the companions' own rule (`imitation`), the others are PPO's.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - Stable-Baselines3's
        discount_horizon_s: float = 120.0,
        reward_scaling: bool = True,
        imitation_steps: int = 0,
        **kwargs: Any,  # noqa: ANN401 - Stable-Baselines3's
    ) -> None:
        """Build model and buffer.

        Args:
            *args: of ``MaskablePPO``.
            discount_horizon_s: 1 / beta, in seconds.
            reward_scaling: divide rewards by the size of a return.
            imitation_steps: decisions of the rollouts that are imitated from, before PPO begins.
            **kwargs: of ``MaskablePPO``; ``gamma`` has no effect.
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
            env: has ``last_dt_s``, float, shape (n_envs,): simulated time of the last step, and for imitation
                ``own_answers()``.
            callback: told of every step.
            rollout_buffer: a ``ContinuousTimeRolloutBuffer``.
            n_rollout_steps: decisions of each environment.
            use_masking: sample legal actions only.

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
        """Learn from the rollout: imitate its lessons, or PPO's update."""
        if self._imitates:
            imitate(self)
        else:
            super().train()

    def learn_until(
        self, steps: int, total: int, callbacks: list[BaseCallback], after_update: Callable[[], None]
    ) -> None:
        """Rollouts and updates; the learning rate's schedule always spans the whole training.

        Args:
            steps: Decisions after which to stop, those before this call included.
            total: Decisions of the whole training.
            callbacks: told of every step and rollout.
            after_update: called after every update, before its numbers are written.
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
        """Bring a complete rollout to one scale, before anything is estimated from it."""
        self.reward_scale.update(rollout_buffer.rewards, rollout_buffer.dt_s)
        self.logger.record("rollout/reward_per_decision", float(rollout_buffer.rewards.mean()))
        self.logger.record("rollout/dt_mean_s", float(rollout_buffer.dt_s.mean()))
        self.logger.record("rollout/reward_divisor", self.reward_scale.divisor)
        rollout_buffer.rewards /= np.float32(self.reward_scale.divisor)
