"""Jobs that workers find by name: plain, killed under way, and never done."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.worker import Runner
from maestro_gym.scheduling.policy import Policy

FOLDER = "WORKERS_TEST_FOLDER"
"""Environment variable: where runners leave their marks."""


class Deadly(NamedTuple):
    """A job that kills its worker the first few times."""

    number: int
    kills: int
    mark: str


def name_of(job: Deadly) -> str:
    return f"job {job.number}"


def square(job: Deadly) -> int:
    mark = Path(job.mark)
    tries = len(mark.read_bytes()) if mark.exists() else 0
    if tries < job.kills:
        mark.write_bytes(b"x" * (tries + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return job.number**2


def mistaken(job: int) -> int:
    raise ZeroDivisionError(job)


def never_done(mark: str) -> None:
    Path(mark).write_text(str(os.getpid()))
    time.sleep(3600)


def _run_once_killed(scenario: Scenario, policy: Policy, **settings: int | str) -> EpisodeResult:
    mark = Path(os.environ[FOLDER]) / "killed"
    if settings["seed"] == 1 and policy.name == "maestro" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return run_episode(scenario, policy, **settings)


def _run_until_seed_two(scenario: Scenario, policy: Policy, **settings: int | str) -> EpisodeResult:
    if settings["seed"] == 2:
        never_done(str(Path(os.environ[FOLDER]) / f"waiting-{policy.name}"))
    return run_episode(scenario, policy, **settings)


ONCE_KILLED = Runner(run=_run_once_killed)
"""Its worker is killed under one episode, the first time."""

UNTIL_SEED_TWO = Runner(run=_run_until_seed_two)
"""It runs the first seeds and hangs in the third."""
