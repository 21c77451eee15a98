"""A process that runs programs, one after the other; a program that takes too long ends with its process.

A program is code of whoever wrote it. It runs with the rights of the user, apart from the search but not locked in:
that is the job of the container file.
"""

from __future__ import annotations

import multiprocessing
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from maestro_gym.baselines.registry import load_policy
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.worker_process import become_child
from maestro_gym.episodes.metrics.row import result_row
from maestro_gym.episodes.run import run_episode
from maestro_gym.evaluation.worker import scenario_of

_START_S = 300.0
"""Time that the process itself may take to start [s], which is no program's fault."""


@dataclass(frozen=True)
class Trial:
    """What one program is asked to do.

    Attributes:
        spec: The policy: ``program.py:RULE+maestro``, or a name of the table.
        scenario: Name or file.
        overrides: Dotted overrides.
        split: Split of the episodes.
        seeds: An episode each.
    """

    spec: str
    scenario: str
    overrides: tuple[str, ...]
    split: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Ran:
    """What came of a trial.

    Attributes:
        rows: Every metric of each episode, by name; empty where the program failed.
        error: What went wrong, in words; empty where nothing did.
        stage: Where: ``load``, ``run`` or ``time``.
    """

    rows: tuple[dict[str, Any], ...] = ()
    error: str = ""
    stage: str = ""


def run_trial(trial: Trial) -> Ran:
    """Load a program and run its episodes, in this process.

    Args:
        trial: What to run.
    """
    stage = "load"
    try:
        scenario = scenario_of(trial.scenario, trial.overrides)
        policy = load_policy(trial.spec, scenario)
        stage = "run"
        rows = [result_row(run_episode(scenario, policy, trial.split, seed, samples=0)) for seed in trial.seeds]
    except MaestroError as error:
        return Ran(error=str(error), stage=stage)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})"
        return Ran(error=words, stage=stage)
    return Ran(rows=tuple(rows))


def _serve(orders: Connection, lifeline: Connection) -> None:
    become_child(lifeline)
    orders.send("ready")
    while True:
        orders.send(run_trial(orders.recv()))


class CandidateProcess:
    """The process; a context, at whose end it has ended."""

    def __init__(self, limit_s: float) -> None:
        """Start nothing yet.

        Args:
            limit_s: Time that one trial may take [s].
        """
        self._limit_s = limit_s
        self._context = multiprocessing.get_context("spawn")
        self._lifeline, self._held = self._context.Pipe(duplex=False)
        self._process: Any = None
        self._orders: Connection

    def __enter__(self) -> CandidateProcess:
        """Start nothing yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        self._end()
        self._held.close()

    def run(self, trial: Trial) -> Ran:
        """Run a trial in the process.

        Args:
            trial: What to run.

        Returns:
            What came of it; a process that dies or takes too long is a failure of the program.
        """
        self._start()
        try:
            self._orders.send(trial)
            if self._orders.poll(self._limit_s):
                return self._orders.recv()
        except (EOFError, OSError):
            self._end()
            return Ran(error="The process that ran the program died under it; it may have used up memory.", stage="run")
        except BaseException:
            self._end()
            raise
        self._end()
        return Ran(error=f"Loading, compiling and running took more than {self._limit_s:g} s.", stage="time")

    def _start(self) -> None:
        if self._process is not None and self._process.is_alive():
            return
        self._orders, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, self._lifeline), daemon=True)
        self._process.start()
        theirs.close()
        if not self._orders.poll(_START_S):
            self._end()
            raise MaestroError(f"The process that runs programs has not started within {_START_S:g} s.")
        self._orders.recv()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._orders.close()
            self._process = None
