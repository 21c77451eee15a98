"""Rollouts in continuous time: the discount of a transition is exp(-beta * dt)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer, MaskableDictRolloutBufferSamples


class ContinuousTimeRolloutBuffer(MaskableDictRolloutBuffer):
    """A rollout whose transitions take time of their own.

    Generalised advantage estimation (Schulman et al., arXiv 1506.02438) over a semi-Markov process:
    delta_t = r_t + gamma_t * V(s_{t+1}) - V(s_t) and A_t = delta_t + gamma_t * lambda * A_{t+1} with
    gamma_t = exp(-dt_t / horizon_s). A per-decision gamma would reward a policy for inserting decisions.

    Attributes:
        dt_s: float32, shape (n_steps, n_envs); simulated time of each transition, in seconds.
        terminal_values: float32, shape (n_steps, n_envs); V of the last observation of an episode that
            was cut off at its horizon, 0 elsewhere.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - Stable-Baselines3's
        discount_horizon_s: float = 120.0,
        **kwargs: Any,  # noqa: ANN401 - Stable-Baselines3's
    ) -> None:
        """Allocate.

        Args:
            *args: of ``MaskableDictRolloutBuffer``.
            discount_horizon_s: 1 / beta, in seconds.
            **kwargs: of ``MaskableDictRolloutBuffer``; ``gamma`` is not used.
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
            *args: of ``MaskableDictRolloutBuffer.add``, rewards as the environment paid them.
            dt_s: float, shape (n_envs,); time that the step took.
            terminal_values: float, shape (n_envs,); see the class.
            **kwargs: ``action_masks``.
        """
        if dt_s is not None:
            self.dt_s[self.pos] = dt_s
        if terminal_values is not None:
            self.terminal_values[self.pos] = terminal_values
        super().add(*args, **kwargs)

    @property
    def gammas(self) -> np.ndarray:
        """Discount of each transition, float32, shape (n_steps, n_envs)."""
        return np.exp(-self.dt_s / np.float32(self.discount_horizon_s))

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        """Estimate advantages and returns.

        Args:
            last_values: V of the observations after the last step, shape (n_envs, 1).
            dones: whether the last step ended an episode, shape (n_envs,).
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
            batch_size: samples of a minibatch; None yields all at once.
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
