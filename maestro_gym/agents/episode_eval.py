"""Validation episodes beside any learner of Stable-Baselines3, judged by what the episodes tell of themselves."""

from __future__ import annotations

import math
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_masked
from sb3_contrib.common.maskable.utils import is_masking_supported
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv

from maestro_gym.core.errors import ArgumentValueError
from maestro_gym.episodes.metrics.define import metric_of


class EpisodeMetricsEval(BaseCallback):
    """Plays the same episodes now and then, logs a metric of them, keeps the best model and can end the training.

    The metric is one of ``info["episode_metrics"]``. It is logged as ``eval/METRIC``; where the episodes have
    ``reference_metrics`` too, as with ``compare_with="maestro"``, theirs is ``eval/reference_METRIC``. Models that
    heed masks are given them where the environment has ``action_masks``.

    Attributes:
        scores: The metric at every evaluation so far, each the mean over its episodes.
        reference: Its mean under `compare_with` at the last evaluation, nan without.
        best: The best of `scores`, nan before the first.
    """

    def __init__(
        self,
        env: VecEnv,
        every_steps: int,
        *,
        metric: str = "slo_attainment",
        episodes: int | None = None,
        seed: int = 0,
        patience: int | None = None,
        path: str | Path | None = None,
        verbose: int = 1,
    ) -> None:
        """Plan the evaluations.

        Args:
            env: What to play in, such as ``MaestroVecEnv("cluster", 4, split="validation", evaluation=True)``.
            every_steps: Decisions learned from between two evaluations, at least.
            metric: Column of docs/metrics.md that the model is judged by.
            episodes: Episodes of an evaluation; None takes one of each environment.
            seed: Environment e begins each evaluation with the first episode of seed + e.
            patience: Evaluations without a better score after which the training ends; None never ends it.
            path: The best model is saved here; None keeps none.
            verbose: 1 prints a line an evaluation.

        Raises:
            ArgumentValueError: There is nothing between two evaluations, or no better side to the metric.
        """
        super().__init__(verbose)
        if every_steps < 1:
            raise ArgumentValueError(f"every_steps={every_steps} is no distance; pass a whole number from 1 on.")
        if metric_of(metric).better not in ("higher", "lower"):
            raise ArgumentValueError(
                f"metric={metric!r} has no better side, so no model can be judged by it; docs/metrics.md says which do."
            )
        self._env = env
        self._every_steps = every_steps
        self._metric = metric
        self._sign = 1.0 if metric_of(metric).better == "higher" else -1.0
        self._episodes = episodes or env.num_envs
        self._seed = seed
        self._patience = patience
        self._path = path
        self._next = 0
        self._waited = 0
        self.scores: list[float] = []
        self.reference = math.nan
        self.best = math.nan

    def _on_training_start(self) -> None:
        self._next = self.num_timesteps + self._every_steps

    def _on_step(self) -> bool:
        if self.num_timesteps < self._next:
            return True
        self._next = self.num_timesteps + self._every_steps
        self._judge(*self._play())
        return self._patience is None or self._waited < self._patience

    def _play(self) -> tuple[float, float]:
        """The metric's mean over the episodes: the model's, and the reference's or nan."""
        ends: list[dict[str, Any]] = []

        def note(seen: dict[str, Any], _: dict[str, Any]) -> None:
            if seen["done"]:
                ends.append(seen["info"])

        self._env.seed(self._seed)
        play: Any = evaluate_masked if self._masked() else evaluate_policy
        play(self.model, self._env, n_eval_episodes=self._episodes, callback=note, warn=False)
        values = [info["episode_metrics"][self._metric] for info in ends]
        others = [info["reference_metrics"][self._metric] for info in ends if "reference_metrics" in info]
        return float(np.mean(values)), float(np.mean(others)) if others else math.nan

    def _masked(self) -> bool:
        """Whether the model takes masks and the environments have them."""
        return "action_masks" in signature(self.model.predict).parameters and is_masking_supported(self._env)

    def _judge(self, score: float, reference: float) -> None:
        self.scores.append(score)
        self.reference = reference
        self.logger.record(f"eval/{self._metric}", score)
        if not math.isnan(reference):
            self.logger.record(f"eval/reference_{self._metric}", reference)
        if self.verbose:
            beside = "" if math.isnan(reference) else f", the reference {reference:.3f}"
            print(f"after {self.num_timesteps:,} decisions: {self._metric} {score:.3f}{beside}")
        if math.isnan(self.best) or self._sign * (score - self.best) > 0:
            self.best, self._waited = score, 0
            if self._path is not None:
                self.model.save(self._path)
        else:
            self._waited += 1
