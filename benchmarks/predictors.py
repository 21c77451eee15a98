"""How fast the boosted predictor learns and predicts here; ``--json FILE`` keeps what is printed.

Learns from 40,000 calls of the maestro family, as a scenario does, then predicts a million calls
from their features, and an episode of the `quick` scenario from the start.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from machine import machine, machine_line, summary

from maestro_gym.cli.console import output, show_table, write_json
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.predictors import BoostedPredictor, samples_of
from maestro_gym.predictors.samples import MOST_CALLS
from maestro_gym.predictors.store import boosted

PREDICTED = 1_000_000


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Measure the boosted predictor's speed on this machine.")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    arguments = parser.parse_args()
    before = machine()
    scenario = Scenario.load("quick", ["predictor.kind=constant"])
    service = scenario.world.service
    count = int(np.ceil(MOST_CALLS / scenario.workload.mix().calls_per_workflow))
    history = samples_of(scenario.workload.history(count, service), service)
    many = np.resize(np.arange(len(history)), PREDICTED)
    features = history.features[many]
    episode = scenario.episode("test", 10, 0)
    predictor = BoostedPredictor(history)  # once for the compiler
    predictor.guess(episode, service, 0)
    seconds: dict[str, list[float]] = {}

    def clock(what: str, begin: float) -> None:
        seconds.setdefault(what, []).append(perf_counter() - begin)

    for _ in range(arguments.repeats):
        begin = perf_counter()
        BoostedPredictor(history)
        clock(f"fit to {len(history):,} calls", begin)
        with tempfile.TemporaryDirectory() as folder:
            os.environ["MAESTRO_CACHE_DIR"] = folder
            boosted(history)
            begin = perf_counter()
            boosted(history)
            clock("the same from the cache", begin)
        begin = perf_counter()
        predictor.predict(features)
        clock(f"predict {PREDICTED:,} calls", begin)
        begin = perf_counter()
        predictor.guess(episode, service, 0)
        clock(f"annotate an episode of {len(episode.stages):,} calls", begin)
    rows = [{"what": what, **{f"{k}_s": v for k, v in summary(taken).items()}} for what, taken in seconds.items()]
    show_table(f"Seconds, {arguments.repeats} runs, one thread", rows)
    output().print(machine_line(before, os.getloadavg()[0]))
    write_json(arguments.json, {"machine": before, "rows": rows})


if __name__ == "__main__":
    main()
