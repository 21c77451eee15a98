"""How long a decision takes, for the claim about it: what is measured is this machine, by its clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from maestro_gym.baselines.registry import load_policy
from maestro_gym.core.whole_file import write_whole
from maestro_gym.core.worker_process import one_thread
from maestro_gym.episodes.run import play
from maestro_gym.evaluation.reproduce.plan import HIGH, PAPER, QUICK
from maestro_gym.evaluation.run_info import machine, versions
from maestro_gym.evaluation.statistics import Interval, mean_intervals
from maestro_gym.evaluation.suite.fingerprint import source_hashes
from maestro_gym.evaluation.worker import scenario_of
from maestro_gym.predictors import samples_of
from maestro_gym.predictors.boosted import BoostedPredictor

FILE = "latency.json"
_ASKED = 200
"""Predictions for one stage that are timed for each seed."""
_HISTORY = 2000
"""Workflows that the timed predictor learns from: the number of its trees, not of its samples, sets its time."""


def decision_latencies(folder: Path, seeds: Sequence[int]) -> dict[str, Interval]:
    """Time decisions and predictions, or read what was timed before.

    Args:
        folder: Keeps the times.
        seeds: Evaluation seeds, an episode each.

    Returns:
        Mean over seeds in milliseconds, by the name of its measure.
    """
    facts = {"machine": machine(), "seeds": list(seeds), "versions": versions(), "sources": source_hashes()}
    path = folder / FILE
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if kept.get("facts") != facts:
        with one_thread():
            times = {f"decision_ms {name}": _decision_ms(name, seeds) for name in (PAPER, QUICK)}
            times["prediction_ms"] = _prediction_ms(seeds)
        kept = {"facts": facts, "times": times}
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(kept, indent=1) + "\n")
    return {f"latency {name}": mean_intervals(np.array(values))[0] for name, values in kept["times"].items()}


def _decision_ms(name: str, seeds: Sequence[int]) -> list[float]:
    """Wall time of episodes under Maestro per decision of any tier, simulation included."""
    scenario = scenario_of(name, HIGH)
    policy = load_policy("maestro", scenario)
    play(scenario.world, scenario.episode("validation", 0, 0), policy)  # once for the compiler
    found = []
    for seed in seeds:
        episode = scenario.episode("test", seed, 0)
        begin = perf_counter()
        simulation = play(scenario.world, episode, policy)
        found.append(1e3 * (perf_counter() - begin) / int(simulation.state.visible.clock[0]["decisions"]))
    return found


def _prediction_ms(seeds: Sequence[int]) -> list[float]:
    """Wall time of the boosted prediction for one stage, asked for alone as a server that sees one call would."""
    scenario = scenario_of(QUICK, (*HIGH, "predictor.kind=constant"))
    service = scenario.world.service
    predictor = BoostedPredictor(samples_of(scenario.workload.history(_HISTORY, service), service))
    found = []
    for seed in seeds:
        features = samples_of(scenario.episode("test", seed, 0), service).features[:_ASKED]
        predictor.predict(features[:1])  # once for the compiler
        begin = perf_counter()
        for row in range(len(features)):
            predictor.predict(features[row : row + 1])
        found.append(1e3 * (perf_counter() - begin) / len(features))
    return found
