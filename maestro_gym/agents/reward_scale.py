"""The scale that brings discounted returns to the order of one."""

from __future__ import annotations

from typing import Any

import numpy as np

_MEMORY = 0.98  # per rollout: the scale follows the policy over some fifty rollouts


class RewardScale:
    """Divides rewards by the size of a discounted return under the present policy.

    A policy that pays c = E|r| / E[dt] a second has returns of about c / beta under the discount
    exp(-beta * dt). Both expectations are running sums that forget slowly. Unlike the spread of returns
    accumulated so far (``VecNormalize``), this is right from the first rollout on, long before an
    environment has lived for one discount horizon.

    Attributes:
        horizon_s: 1 / beta, in seconds.
        enabled: False leaves rewards as they are.
    """

    def __init__(self, horizon_s: float, *, enabled: bool = True) -> None:
        """Start without any observation.

        Args:
            horizon_s: 1 / beta, in seconds.
            enabled: False leaves rewards as they are.
        """
        self.horizon_s = horizon_s
        self.enabled = enabled
        self._paid = 0.0
        self._elapsed_s = 0.0

    def update(self, rewards: np.ndarray, dt_s: np.ndarray) -> None:
        """Take in a rollout.

        Args:
            rewards: raw rewards, any shape.
            dt_s: simulated time that each spans, same shape, in seconds.
        """
        self._paid = _MEMORY * self._paid + float(np.abs(rewards, dtype=np.float64).sum())
        self._elapsed_s = _MEMORY * self._elapsed_s + float(dt_s.sum(dtype=np.float64))

    @property
    def divisor(self) -> float:
        """What rewards are divided by; 1 before anything was paid or any time has passed."""
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
