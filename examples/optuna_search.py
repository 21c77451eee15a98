"""Optuna searches what training is told, judged on validation seeds; test seeds are for the end.

    pip install 'maestro-gym[learners]'
    python examples/optuna_search.py [TRIALS]

A trial trains MaskablePPO for a while with its weight of a missed deadline and its discount. The score is the share of
the workflows in time on four validation episodes, which Optuna also sees underway, so that it can end poor trials.
"""

from __future__ import annotations

import sys

import optuna
from sb3_contrib import MaskablePPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from maestro_gym.agents import EpisodeMetricsEval
from maestro_gym.envs import MaestroVecEnv, RewardConfig

DECISIONS, FLEET = 2_000, {"scenario": "quick", "overrides": ["horizon_s=10", "drain_s=60"]}


class Report(BaseCallback):
    """Tells Optuna every new score, and ends the training of a trial that it gives up."""

    def __init__(self, trial: optuna.Trial, watch: EpisodeMetricsEval) -> None:
        """Report the scores of `watch`."""
        super().__init__()
        self.trial, self.watch, self.told = trial, watch, 0

    def _on_step(self) -> bool:
        if len(self.watch.scores) > self.told:
            self.told += 1
            self.trial.report(self.watch.scores[-1], self.told)
            return not self.trial.should_prune()
        return True


def score(trial: optuna.Trial) -> float:
    """Train with a trial's choices; its best share in time."""
    weight = trial.suggest_float("slo_weight", 0.1, 10.0, log=True)
    gamma = trial.suggest_float("gamma", 0.9, 0.9999)
    env = MaestroVecEnv("cluster", 4, seed=0, reward=RewardConfig.with_slo_weight(weight), **FLEET)
    unseen = MaestroVecEnv("cluster", 4, split="validation", evaluation=True, **FLEET)
    watch = EpisodeMetricsEval(unseen, DECISIONS // 2, verbose=0)
    model = MaskablePPO("MultiInputPolicy", env, n_steps=125, batch_size=125, gamma=gamma, seed=0, device="cpu")
    model.learn(DECISIONS, callback=CallbackList([watch, Report(trial, watch)]))
    return watch.best


def main() -> None:
    """Search, and say what was best."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(score, n_trials=int(sys.argv[1]) if len(sys.argv) > 1 else 10)
    print(f"best: {study.best_value:.1%} of the workflows in time with {study.best_params}")


if __name__ == "__main__":
    main()
