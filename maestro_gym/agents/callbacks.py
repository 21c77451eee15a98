"""What happens beside learning: progress, evaluations, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from maestro_gym.agents.logs import CsvLog
from maestro_gym.evaluation.progress import WorkProgress


class LearningProgress(BaseCallback):
    """Tells a `WorkProgress` of every step: a rollout can take minutes."""

    def __init__(self, shown: WorkProgress) -> None:
        """Join the two.

        Args:
            shown: Counts decisions.
        """
        super().__init__()
        self._shown = shown

    def _on_step(self) -> bool:
        self._shown.update(self.num_timesteps)
        return True


class Milestones(BaseCallback):
    """Calls back at multiples of a number of steps or after a time, between two rollouts, and at the end.

    Between rollouts the last update is done and nothing is half collected: the only moment at which a
    checkpoint is exact.
    """

    def __init__(
        self,
        every_steps: int,
        action: Callable[[int], None],
        done_steps: int = 0,
        *,
        every_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Plan the milestones.

        Args:
            every_steps: Steps between two.
            action: Called with the steps so far.
            done_steps: Steps before a resume, whose milestones have been met.
            every_s: Time between two, where steps take longer [s].
            clock: Tells the time [s].
        """
        super().__init__()
        self._every_steps = every_steps
        self._action = action
        self._last = done_steps
        self._every_s, self._clock, self._last_s = every_s, clock, clock()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        late = self.num_timesteps > self._last and self._clock() - self._last_s >= self._every_s
        if late or self.num_timesteps // self._every_steps > self._last // self._every_steps:
            self._act()

    def _on_training_end(self) -> None:
        if self.num_timesteps > self._last:
            self._act()

    def _act(self) -> None:
        self._last = self.num_timesteps
        self._action(self.num_timesteps)
        self._last_s = self._clock()


class EpisodeTerms(BaseCallback):
    """Means of what finished training episodes paid, by term of the reward, a rollout at a time."""

    def __init__(self, log: CsvLog) -> None:
        """Log into a file of its own.

        Args:
            log: Receives a row a rollout in which an episode ended.
        """
        super().__init__()
        self._log = log
        self._sums: dict[str, float] = {}
        self._count = 0

    def _on_step(self) -> bool:
        for e in self.locals["dones"].nonzero()[0]:
            terms: Mapping[str, Any] = self.locals["infos"][e].get("reward_terms", {})
            for name, value in terms.items():
                self._sums[name] = self._sums.get(name, 0.0) + float(value)
            self._count += 1
        return True

    def _on_rollout_end(self) -> None:
        if self._count and self._sums:
            means = {f"episode/{name}": total / self._count for name, total in self._sums.items()}
            for name, value in means.items():
                self.logger.record(name, value)
            self._log.append({"steps": self.num_timesteps, "episodes": self._count} | means)
        self._sums, self._count = {}, 0
