"""A live run as an episode's result, with the same fields as a simulated one, and what else was seen."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import result_of
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.comparison_files import plain
from maestro_gym.evaluation.metrics.row import result_row
from maestro_gym.evaluation.report.episode_trace import workflow_table
from maestro_gym.real_backend.control.controller import Controller
from maestro_gym.real_backend.control.event_log import read_events
from maestro_gym.real_backend.control.settings import RunSettings
from maestro_gym.scheduling.policy import Policy


def run_live(settings: RunSettings, policy: Policy) -> EpisodeResult:
    """Run an episode on real servers, and leave ``events.jsonl`` and ``live.json`` in its folder.

    Args:
        settings: The run.
        policy: Who decides.

    Returns:
        The same log that a simulated run leaves.

    Raises:
        MaestroError: See ``Controller.run``.
    """
    controller = Controller(settings, policy)
    begin = time.perf_counter()
    asyncio.run(controller.run())
    result = _result(controller, time.perf_counter() - begin)
    facts = live_facts(controller)
    (settings.folder / "live.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return result


def _result(controller: Controller, wall_s: float) -> EpisodeResult:
    settings, scenario = controller.settings, controller.settings.scenario
    return result_of(
        controller.books.simulation,
        scenario,
        controller.policy,
        controller.episode,
        settings.split,
        settings.seed,
        settings.index,
        wall_s,
    )


def live_facts(controller: Controller) -> dict[str, Any]:
    """Tell what a result has no field for: decision latency, faults, the books held against the engines' gauges.

    Args:
        controller: After its run.
    """
    latencies = np.array(controller.books.deciders.latencies_s or [0.0])
    excess = np.array(controller.engines.kv_excess_bytes or [0.0])
    counts = list(controller.traffic.finishes.values())
    return {
        "policy": controller.policy.name,
        "decisions": len(controller.books.deciders.latencies_s),
        "decision_latency_s": {name: float(np.quantile(latencies, q)) for name, q in _QUANTILES.items()},
        "policy_troubles": controller.books.deciders.troubles,
        "policy_replaced": controller.books.deciders.replaced,
        "stages_finished": len(counts),
        "stages_finished_twice": sum(count > 1 for count in counts),
        # A page that was written before a stage ended and read after it puts single scrapes far above the books.
        "kv_gauge_over_books_bytes": {name: float(np.quantile(excess, q)) for name, q in _SPREAD.items()}
        | {"scrapes": len(excess)},
        "servers": [
            {
                "server": server.words,
                "version": server.can.version,
                "can": server.can.present,
                "cannot": server.can.missing,
                "finished": server.finished,
                "times_down": server.times_down,
                "faults": server.faults,
            }
            for server in controller.servers
        ],
    }


_QUANTILES = {"p50": 0.5, "p99": 0.99, "max": 1.0}
_SPREAD = {"p50": 0.5, "p90": 0.9, "max": 1.0}


def resumed(folder: Path, fleet: LiveFleetConfig) -> tuple[RunSettings, str]:
    """Read from a run's folder what it takes to go on with it.

    Args:
        folder: Of the run; holds its scenario and its event log.
        fleet: The servers.

    Returns:
        Settings, and the spec of the policy that acted.

    Raises:
        MaestroError: The folder holds no run.
    """
    header = next(read_events(folder / "events.jsonl"))
    scenario = Scenario.load(str(folder / "scenario.yaml"))
    settings = RunSettings(
        fleet, scenario, folder, header["split"], int(header["seed"]), int(header["index"]), resume=True
    )
    return settings, str(header["policy_spec"])


def save_result(result: EpisodeResult, folder: Path) -> dict[str, Any]:
    """Write a run's metrics as ``results.csv`` and ``results.json`` and its workflows as ``workflows.parquet``.

    Args:
        result: Of the run.
        folder: Where to.

    Returns:
        The metrics by name.
    """
    row = result_row(result)
    pd.DataFrame([row]).to_csv(folder / "results.csv", index=False)
    (folder / "results.json").write_text(json.dumps(plain(row), indent=1) + "\n", encoding="utf-8")
    workflow_table(result).to_parquet(folder / "workflows.parquet", index=False)
    return row


@dataclass(frozen=True, eq=False)
class LiveRunner:
    """Runs episodes on a fleet, in the place of the simulator's driver.

    Attributes:
        fleet: The servers.
        folder: Each run gets a folder in it.
        label: Part of that folder's name.
    """

    fleet: LiveFleetConfig
    folder: Path
    label: str = "live"

    def __call__(
        self,
        scenario: Scenario,
        policy: Policy,
        split: str = "test",
        seed: int = 0,
        index: int = 0,
        samples: int = 1024,
    ) -> EpisodeResult:
        """Run one episode; arguments and result as of ``baselines.driver.run_episode``."""
        name = "".join(c if c.isalnum() or c in "-_+" else "-" for c in policy.name)
        folder = self.folder / f"{self.label}-{name}-{split}-{seed}"
        settings = RunSettings(self.fleet, scenario, folder, split, seed, index, max(1024, samples))
        return replace(run_live(settings, policy), policy=policy.name)
