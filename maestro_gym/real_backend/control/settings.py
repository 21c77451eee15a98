"""What a live run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.scheduling.policy import Policy


@dataclass(frozen=True)
class RunSettings:
    """One live run.

    Attributes:
        fleet: The servers.
        scenario: The fleet as a scenario, with its workload.
        folder: For the event log.
        split: Split of the episode.
        seed: Its seed.
        index: Its number.
        samples: Rows of the time series.
        shadow: A policy that is asked, and does not act.
        resume: Go on with the run whose log is in the folder.
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
