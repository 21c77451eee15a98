"""What a live run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy

LOOPBACK = "127.0.0.1"
"""Where the metrics of a run are served unless told otherwise: nobody but this machine can ask."""


@dataclass(frozen=True)
class RunSettings:
    """What one live run is asked to do.

    Attributes:
        fleet: The fleet whose servers are used.
        scenario: The fleet as a scenario, with its workload.
        folder: The folder for the event log.
        split: The split of the episode.
        seed: The seed of the episode.
        index: The number of the episode.
        samples: The number of rows of the time series.
        shadow: A policy that is asked at every decision, and does not act.
        resume: Whether to go on with the run whose log is in the folder.
        trust: Whether servers that the run itself starts may be something else than plain vLLM (docs/security.md).
        metrics_port: The port on which Prometheus finds the metrics of the run; 0 takes a free one, None serves none.
        metrics_host: The address of that port.
    """

    fleet: LiveFleetConfig
    scenario: Scenario
    folder: Path
    split: str = "test"
    seed: int = 0
    index: int = 0
    samples: int = 1024
    shadow: Policy | None = None
    resume: bool = False
    trust: bool = False
    metrics_port: int | None = None
    metrics_host: str = LOOPBACK
