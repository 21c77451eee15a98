"""Evaluation during training: whole validation episodes under the policy so far."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from maestro_gym.envs import RewardConfig
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy
from maestro_gym.state import CLASS_NAMES

METRICS = ("slo_attainment", "completion_mean_s", "completion_p95_s", "ttft_mean_s", "slowdown_mean")
"""Metrics of an evaluation, overall and per class."""

FLEET_METRICS = ("unfinished", "cold_starts", "preemptions")

SCORE = "reward"
"""Column by which the best policy of a run is chosen: the mean reward of an episode."""


def reward_terms(result: EpisodeResult, reward: RewardConfig) -> dict[str, float]:
    """What an episode paid, by term, residence and missed deadlines by class.

    The terms are those of ``envs.reward``, over the whole episode: the residence of an unfinished
    workflow counts up to the end, that of a rejected one up to its deadline, and both have missed it.

    Args:
        result: The episode's log.
        reward: Weights of the terms.
    """
    workflows, counters = result.episode.workflows, result.counters
    finished_s = np.minimum(result.workflows["finished_s"], result.end_s)
    rejected = np.isfinite(result.workflows["rejected_s"])
    finished_s = np.where(rejected, np.maximum(result.workflows["rejected_s"], workflows["deadline_s"]), finished_s)
    residence = workflows["weight"] * (finished_s - workflows["arrival_s"])
    missed = workflows["weight"] * (result.workflows["finished_s"] > workflows["deadline_s"])
    terms: dict[str, float] = {}
    for cls, name in enumerate(CLASS_NAMES):
        chosen = workflows["cls"] == cls
        terms[f"reward_residence_{name}"] = -reward.residence * float(residence[chosen].sum())
        terms[f"reward_slo_missed_{name}"] = -reward.slo_missed * float(missed[chosen].sum())
    terms["reward_slo_met"] = reward.slo_met * float(workflows["weight"].sum() - missed.sum())
    terms["reward_ttft_met"] = reward.ttft_met * float(counters["ttft_met_weight"])
    terms["reward_ttft_missed"] = -reward.ttft_missed * float(counters["ttft_missed_weight"])
    terms["reward_cold_start"] = -reward.cold_start * float(counters["cold_starts"])
    return terms


class Validation:
    """The same few validation episodes, every time."""

    def __init__(self, scenario: Scenario, seeds: Sequence[int], reward: RewardConfig, threads: int) -> None:
        """Choose the episodes.

        Args:
            scenario: What is run; episodes come from its validation split.
            seeds: One episode each.
            reward: Weights of its terms.
            threads: Episodes at a time; compiled episodes release the GIL.
        """
        self._scenario = scenario
        self._seeds = list(seeds)
        self._reward = reward
        self._threads = threads
        for seed in self._seeds:
            scenario.episode("validation", seed, 0)

    def measure(self, policy: Policy) -> dict[str, float]:
        """Run the episodes under a policy.

        Args:
            policy: A complete scheduler; a learned rule takes the most probable legal action.

        Returns:
            Means over the episodes: metrics overall and per class, reward by term, and their sum.
        """

        def run(seed: int) -> dict[str, float]:
            result = run_episode(self._scenario, policy, "validation", seed, 0, samples=0)
            return _numbers(result_row(result)) | reward_terms(result, self._reward)

        with ThreadPoolExecutor(self._threads) as pool:
            rows = list(pool.map(run, self._seeds))
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        means[SCORE] = sum(value for name, value in means.items() if name.startswith("reward_"))
        return means


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    wanted = [name for metric in METRICS for name in (metric, *(f"{metric}_{cls}" for cls in CLASS_NAMES))]
    return {name: float(row[name]) for name in (*wanted, *FLEET_METRICS)}
