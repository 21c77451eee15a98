"""A live run as the result of an episode, with the fields of a simulated one, and what else was seen of it."""

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
from maestro_gym.core.file_names import file_name
from maestro_gym.core.whole_file import write_whole
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import result_of
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.comparison_files import plain, write_table
from maestro_gym.evaluation.report.episode_trace import workflow_table
from maestro_gym.real_backend.control.controller import Controller
from maestro_gym.real_backend.control.event_log import EVENTS_FILE, read_events
from maestro_gym.real_backend.control.settings import RunSettings
from maestro_gym.scheduling.outside import end_episode
from maestro_gym.scheduling.policy import Policy


def run_live(settings: RunSettings, policy: Policy) -> EpisodeResult:
    """Run an episode on real servers, and leave ``events.jsonl`` and ``live.json`` in its folder.

    Args:
        settings: What the run is asked to do.
        policy: The policy that decides.

    Returns:
        The same record that a simulated run leaves.

    Raises:
        MaestroError: For the reasons that ``Controller.run`` gives.
    """
    controller = Controller(settings, policy)
    begin = time.perf_counter()
    asyncio.run(controller.run())
    controller.fleet_state.core.counters["invalid_actions"][0] += end_episode(policy)
    result = _result(controller, time.perf_counter() - begin)
    facts = live_facts(controller)
    write_whole(settings.folder / "live.json", json.dumps(facts, indent=1) + "\n")
    return result


def _result(controller: Controller, wall_s: float) -> EpisodeResult:
    settings, scenario = controller.settings, controller.settings.scenario
    return result_of(
        controller.fleet_state.simulation.state,
        scenario,
        controller.policy,
        controller.episode,
        settings.split,
        settings.seed,
        settings.index,
        wall_s,
    )


def live_facts(controller: Controller) -> dict[str, Any]:
    """Collect what a result has no field for: decision latencies, faults, reservations against the engines' gauges.

    Args:
        controller: The controller, after its run.

    Returns:
        What ``live.json`` holds.
    """
    latencies = np.array(controller.fleet_state.policies.latencies_s or [0.0])
    excess = np.array(controller.engines.kv_excess_bytes or [0.0])
    counts = list(controller.traffic.finishes.values())
    return {
        "policy": controller.policy.name,
        "decisions": len(controller.fleet_state.policies.latencies_s),
        "decision_latency_s": {name: float(np.quantile(latencies, q)) for name, q in _QUANTILES.items()},
        "policy_troubles": controller.fleet_state.policies.troubles,
        "policy_replaced": controller.fleet_state.policies.replaced,
        "stages_finished": len(counts),
        "stages_finished_twice": sum(count > 1 for count in counts),
        # A page that was written before a stage ended and read after it puts single scrapes far above the reservations.
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


def resumed(folder: Path, fleet: LiveFleetConfig, *, trust: bool = False) -> tuple[RunSettings, str]:
    """Read from the folder of a run what it takes to resume it.

    Args:
        folder: The folder of the run, which holds its scenario and its event log.
        fleet: The fleet whose servers are used.
        trust: Whether servers that the run itself starts may be something else than plain vLLM.

    Returns:
        The settings, and the spec of the policy that acted.

    Raises:
        MaestroError: The folder holds no run.
    """
    header = next(read_events(folder / EVENTS_FILE))
    scenario = Scenario.load(str(folder / "scenario.yaml"))
    settings = RunSettings(
        fleet, scenario, folder, header["split"], int(header["seed"]), int(header["index"]), resume=True, trust=trust
    )
    return settings, str(header["policy_spec"])


def save_result(result: EpisodeResult, folder: Path) -> dict[str, Any]:
    """Write the metrics of a run as ``results.csv`` and ``results.json``, its workflows as ``workflows.parquet``.

    Args:
        result: The result of the run.
        folder: The folder to write into.

    Returns:
        The metrics by name.
    """
    row = result_row(result)
    write_table(pd.DataFrame([row]), folder / "results.csv")
    write_whole(folder / "results.json", json.dumps(plain(row), indent=1) + "\n")
    write_table(workflow_table(result), folder / "workflows.parquet")
    return row


@dataclass(frozen=True, eq=False)
class LiveRunner:
    """Runs episodes on a fleet, in place of ``episodes.run.run_episode``.

    Attributes:
        fleet: The fleet whose servers are used.
        folder: The folder in which each run gets one of its own.
        label: The first part of the name of such a folder.
        trust: Whether servers that a run itself starts may be something else than plain vLLM.
    """

    fleet: LiveFleetConfig
    folder: Path
    label: str = "live"
    trust: bool = False

    def __call__(
        self,
        scenario: Scenario,
        policy: Policy,
        split: str = "test",
        seed: int = 0,
        index: int = 0,
        samples: int = 1024,
    ) -> EpisodeResult:
        """Run one episode, with the arguments and the result of ``episodes.run.run_episode``.

        Raises:
            MaestroError: For the reasons that ``Controller.run`` gives.
        """
        folder = self.folder / f"{self.label}-{file_name(policy.name)}-{split}-{seed}"
        settings = RunSettings(self.fleet, scenario, folder, split, seed, index, max(1024, samples), trust=self.trust)
        return replace(run_live(settings, policy), policy=policy.name)
