"""The training loop: rollouts and updates, with evaluations and checkpoints between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.vec_env import VecEnv
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from maestro_gym.agents.actor_critic import CandidatePolicy
from maestro_gym.agents.callbacks import EpisodeTerms, LearningProgress, Milestones
from maestro_gym.agents.checkpoint import load_checkpoint, save_checkpoint
from maestro_gym.agents.curves import draw_curves
from maestro_gym.agents.logs import STEP_COLUMN, CsvLog, open_logger
from maestro_gym.agents.networks import CandidateScorer, SlotMlp
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import save_policy
from maestro_gym.agents.ppo import ContinuousTimePPO
from maestro_gym.agents.validation import SCORE
from maestro_gym.config import TrainConfig
from maestro_gym.evaluation.progress import WorkProgress

Measure = Callable[[CandidateScorer | SlotMlp], dict[str, float]]
"""From a network to the means of its validation episodes, ``validation.SCORE`` among them."""

Watch = Callable[[int, Mapping[str, float]], None]
"""Hears of decisions so far and the means of their validation episodes, once policy and log are written."""


def build_model(train: TrainConfig, env: VecEnv) -> ContinuousTimePPO:
    """Make the learner that a configuration describes.

    Args:
        train: Its settings.
        env: What it learns from.
    """
    start, falls = train.learning_rate, train.learning_rate_schedule == "linear"
    return ContinuousTimePPO(
        CandidatePolicy,
        env,
        learning_rate=(lambda left: start * left) if falls else start,
        n_steps=train.rollout_steps,
        batch_size=train.batch_size,
        n_epochs=train.epochs,
        gae_lambda=train.gae_lambda,
        clip_range=train.clip_range,
        ent_coef=train.entropy_coefficient,
        vf_coef=train.value_coefficient,
        max_grad_norm=train.max_grad_norm,
        target_kl=train.target_kl,
        discount_horizon_s=train.discount_horizon_s,
        reward_scaling=train.reward_scaling,
        imitation_steps=train.imitation_steps,
        policy_kwargs={
            "network": train.network,
            "hidden_sizes": tuple(train.hidden_sizes),
            # Where most decisions leave one legal action, gradients are small: an epsilon of 1e-5, the
            # usual choice, would be larger than they are.
            "optimizer_kwargs": {"eps": 1e-8},
        },
        seed=train.seed,
        device="cpu",
    )


class Trainer:
    """One training run in its folder.

    Attributes:
        model: The learner.
        evaluations: Rows of ``evaluations.csv`` so far.
    """

    def __init__(
        self,
        train: TrainConfig,
        env: VecEnv,
        folder: Path,
        card: PolicyCard,
        measure: Measure,
        reference: dict[str, float],
        watch: Watch | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            train: Settings.
            env: The environments, with ``last_dt_s``, ``get_state`` and ``set_state``.
            folder: Run folder, which exists.
            card: What is known of the policy before it is trained.
            measure: Evaluates a network.
            reference: The same measures of the companions' own rule, for the curves.
            watch: Told of every evaluation; what it raises ends the training.
        """
        torch.set_num_threads(train.torch_threads)
        # Arguments of distributions are checked at every decision otherwise, a tenth of the learner's time.
        torch.distributions.Distribution.set_default_validate_args(False)
        self._train = train
        self._env: Any = env
        self._folder = folder
        self._card = card
        self._measure = measure
        self._reference = reference
        self._watch = watch
        self._best: float | None = None
        self.model = build_model(train, env)
        # A policy that still learns swings from update to update; the mean of the last ones swings less.
        self._average = AveragedModel(
            self._network, multi_avg_fn=get_ema_multi_avg_fn(1.0 - 1.0 / train.average_updates)
        )
        self.evaluations: CsvLog

    def run(self, *, resume: bool = False, stop_at_steps: int | None = None, progress: bool = True) -> None:
        """Train up to ``total_steps``.

        Args:
            resume: Go on from the folder's checkpoint.
            stop_at_steps: Stop earlier, with a checkpoint to resume from.
            progress: Show how far it is, on standard error.
        """
        model, train = self.model, self._train
        if resume:
            self._env.reset()
            self._best = load_checkpoint(self._folder, model, self._env, self._average)["best"]
        done = model.num_timesteps
        self.evaluations = CsvLog(self._folder / "evaluations.csv", done)
        model.set_logger(open_logger(self._folder, done, train.wandb, train.model_dump()))
        # Whole rollouts are learned from: the last one reaches beyond what was asked for.
        rollout = train.rollout_steps * self._env.num_envs
        total = -(-train.total_steps // rollout) * rollout
        shown = WorkProgress("learning", "decisions", total, done=done) if progress else None
        evaluate = Milestones(train.eval_every_steps, lambda steps: self._evaluate(steps, shown), done)
        # After the evaluation of the same step, whose best score it must know.
        checkpoint = Milestones(
            train.checkpoint_every_steps, lambda _: self.checkpoint(), done, every_s=train.checkpoint_every_s
        )
        terms = EpisodeTerms(CsvLog(self._folder / "episodes.csv", done))
        callbacks = [terms, evaluate, checkpoint, *([LearningProgress(shown)] if shown else [])]
        if not done:
            self._evaluate(0, shown)
        try:
            until = min(train.total_steps, stop_at_steps or train.total_steps)
            with shown or nullcontext():
                model.learn_until(
                    until, train.total_steps, callbacks, lambda: self._average.update_parameters(self._network)
                )
        finally:
            model.logger.close()

    @property
    def _network(self) -> Any:  # noqa: ANN401 - a CandidateScorer or a SlotMlp
        return self.model.policy.mlp_extractor

    def checkpoint(self) -> None:
        """Save what an exact resume needs."""
        save_checkpoint(self._folder, self.model, self._env, self._average, {"best": self._best})

    def _evaluate(self, steps: int, shown: WorkProgress | None) -> None:
        network: Any = self._average.module
        if shown:
            shown.tell("validating")
        means = self._measure(network)
        self.evaluations.append({STEP_COLUMN: steps} | means)
        for name, value in means.items():
            self.model.logger.record(f"validation/{name}", value)
        if shown:
            shown.update(note=f"validation SLO {means['slo_attainment']:.1%}, reward {means[SCORE]:,.4g}")
        card = replace(self._card, steps=steps, reward_divisor=self.model.reward_scale.divisor, validation=means)
        # Before learning a policy is a random one; it becomes the best only when nothing better follows.
        if self._train.keep == "last" or self._best is None or means[SCORE] > self._best:
            self._best = means[SCORE]
            save_policy(self._folder, card, network)
        save_policy(self._folder / "last", card, network)
        draw_curves(
            self.evaluations.rows,
            self._folder / "learning_curves.png",
            f"training of {self._folder.name}",
            self._reference,
            self._card.companions,
        )
        if self._watch is not None:
            self._watch(steps, means)
