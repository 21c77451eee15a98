"""The same training with several seeds, side by side on workers, each in a folder of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import shutil
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich.console import Console

from maestro_gym.agents.logs import LOG_FILE, STEP_COLUMN
from maestro_gym.agents.run_folder import RUN_FILE, default_folder, note_run, write_config
from maestro_gym.agents.train import TrainResult, resolved_training, train_in
from maestro_gym.config import ScenarioConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.workers.processes import Processes
from maestro_gym.evaluation.workers.workers import Workers

_PREFIX = "seed-"
TOKEN_FILE = ".token"
"""Holds a word that a worker compares, to find out whether it sees the folder of the one who asks."""

_LOOK_EVERY_S = 2.0


@dataclass(frozen=True)
class _Job:
    """One training.

    Attributes:
        folder: The folder around it, absolute.
        config: Scenario and settings, with the seed.
        token: What stands in the folder's `TOKEN_FILE`.
        kept: What an earlier session has left of the training, as an archive; empty: nothing, or it is seen there.
        stop_at_steps: Where to stop early.
    """

    folder: str
    config: ScenarioConfig
    token: str
    kept: bytes
    stop_at_steps: int | None

    @property
    def name(self) -> str:
        return f"{_PREFIX}{self.config.train.seed}"


class _Done(NamedTuple):
    """What a training came to, and its folder as an archive where the worker does not see that of the one who asks."""

    result: TrainResult
    archive: bytes


def seeds_of(folder: Path) -> list[int]:
    """The seeds of the trainings that a folder holds, as its ``run.json`` has them; empty where it holds no such."""
    seeds = _about(folder).get("seeds")
    return [seed for seed in seeds if isinstance(seed, int)] if isinstance(seeds, list) else []


def run_train_seeds(
    scenario: str = "quick",
    config: str | None = None,
    *,
    seeds: Sequence[int] = (),
    tier: str | None = None,
    contention: str | None = None,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    resume: Path | None = None,
    overwrite: bool = False,
    stop_at_steps: int | None = None,
    trust: bool = False,
    workers: Workers | None = None,
    console: Console | None = None,
    progress: bool = True,
) -> list[TrainResult]:
    """Train with every seed, as `run_train` does with one; the weights and the logs are those of single runs.

    Args:
        scenario: Name or file.
        config: Name or file of ``configs/train``; None takes the tier's own, or the scenario's.
        seeds: The seeds; on a resume, seeds beside those that the folder has.
        tier: ``global``, ``cluster``, ``node`` or ``joint``; None takes the configuration's.
        contention: ``low``, ``medium``, ``high`` or ``overload``.
        overrides: ``dotted.place=value``; settings of the training start with ``train.``.
        out: The folder around the run folders; None makes one below ``runs/train``.
        resume: Such a folder to go on with: what is finished is read, what is begun goes on, the others begin.
        overwrite: Remove the runs in ``out``, if there are any.
        stop_at_steps: End every training early, with a checkpoint to resume from.
        trust: As `run_train` has it.
        workers: Who trains; None: one after the other, in this process.
        console: Where words go; None prints on standard output.
        progress: Show how far all of them are, on standard error.

    Returns:
        What each came to, in the order of the seeds.

    Raises:
        MaestroError: Seeds are missing or repeat, or as `run_train`.
    """
    begun = [] if resume is None else seeds_of(resume)
    if resume is not None and not begun:
        raise MaestroError(f"--resume {resume}: holds no trainings of several seeds; leave out --seeds, or --resume.")
    seeds = [*begun, *(seed for seed in seeds if seed not in begun)]
    if not seeds or len(set(seeds)) != len(seeds):
        found = f"{', '.join(map(str, seeds))} repeat" if seeds else "none are given"
        raise MaestroError(f"--seeds: {found}; name each seed once, such as 0-4.")
    console = console or Console()
    resolved = resolved_training(
        scenario,
        config,
        tier=tier,
        contention=contention,
        overrides=overrides,
        seed=None if resume is not None else seeds[0],
        resume=resume,
        trust=trust,
    )
    folder = (resume or out or default_folder(resolved, seeds)).absolute()
    go_on = f"maestro-gym train --resume {folder}"
    with run_folder(folder, resume=resume is not None, overwrite=overwrite, go_on=go_on):
        if overwrite:
            clear_earlier(folder)
        write_config(folder, resolved)
        note_run(folder, {"seeds": seeds, "state": "running"})
        train = resolved.train
        console.print(
            f"training the {train.tier} tier on {resolved.name}, contention {resolved.contention}, {len(seeds)} seeds: "
            f"{train.total_steps:,} decisions each into {folder}",
            highlight=False,
            soft_wrap=True,
        )
        results = _train_all(folder, resolved, seeds, stop_at_steps, workers or Processes(1), progress)
        state = "finished" if all(result.steps >= train.total_steps for result in results) else "stopped"
        note_run(folder, {"seeds": seeds, "state": state, "validation": seed_rows(results)})
    return results


def seed_rows(results: Sequence[TrainResult]) -> list[dict[str, Any]]:
    """One row a training: its seed, its decisions and the validation of the policy that it kept."""
    return [
        {"seed": int(result.folder.name.removeprefix(_PREFIX)), "steps": result.steps} | _without_name(result.rows[1])
        for result in results
    ]


def _without_name(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "policy"}


def _train_all(
    folder: Path,
    resolved: ScenarioConfig,
    seeds: Sequence[int],
    stop_at_steps: int | None,
    workers: Workers,
    progress: bool,
) -> list[TrainResult]:
    configs = [
        resolved.model_copy(update={"train": resolved.train.model_copy(update={"seed": seed})}) for seed in seeds
    ]
    until = min(resolved.train.total_steps, stop_at_steps or resolved.train.total_steps)
    rollout = resolved.train.rollout_steps * resolved.train.num_envs
    whole = -(-until // rollout) * rollout  # whole rollouts are learned from
    places = [folder / f"{_PREFIX}{seed}" for seed in seeds]
    for place in places:
        _bring_back(place)
    results = [_finished(place, until) for place in places]
    waiting = [number for number, result in enumerate(results) if result is None]
    here = isinstance(workers, Processes)  # whose processes see what this one sees
    token = _leave_token(folder)
    jobs = [
        _Job(str(folder), configs[number], token, b"" if here else _packed(places[number]), stop_at_steps)
        for number in waiting
    ]
    try:
        with _watched(places, whole * len(seeds)) if progress else nullcontext():
            for number, done in workers.run(_train_seed, jobs, _words_of):
                place = places[waiting[number]]
                if done.archive:
                    _put_in_place(done.archive, place)
                results[waiting[number]] = replace(done.result, folder=place)
    finally:
        (folder / TOKEN_FILE).unlink(missing_ok=True)
    return [result for result in results if result is not None]


def _words_of(job: _Job) -> str:
    return f"the training of seed {job.config.train.seed}"


def _train_seed(job: _Job) -> _Done:
    """Train on a worker: in the folder of the one who asks where that is seen, else in one of its own."""
    place = Path(job.folder)
    if _token_in(place) == job.token:
        return _Done(_train_quietly(place / job.name, job), b"")
    with TemporaryDirectory(prefix="maestro-train-") as beside:
        own = Path(beside) / job.name
        if job.kept:
            _unpack(job.kept, own)
        return _Done(_train_quietly(own, job), _packed(own))


def _train_quietly(folder: Path, job: _Job) -> TrainResult:
    silent = Console(file=io.StringIO())
    return train_in(folder, job.config, resume=True, stop_at_steps=job.stop_at_steps, console=silent, progress=False)


def _finished(folder: Path, until: int) -> TrainResult | None:
    """What a training came to that has nothing left to do."""
    about = _about(folder)
    if about.get("state") not in ("finished", "stopped") or about.get("steps", 0) < until:
        return None
    return TrainResult(folder, int(about["steps"]), float(about["session_s"]), list(about["validation"]))


def _about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _leave_token(folder: Path) -> str:
    token = secrets.token_hex(16)
    (folder / TOKEN_FILE).write_text(token, encoding="utf-8")
    return token


def _token_in(folder: Path) -> str:
    try:
        return (folder / TOKEN_FILE).read_text(encoding="utf-8")
    except OSError:
        return ""


def _packed(folder: Path) -> bytes:
    """A run folder as an archive; empty where there is none."""
    if not folder.is_dir():
        return b""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
        archive.add(folder, arcname=".", filter=lambda member: None if member.name == "./.owner" else member)
    return content.getvalue()


def _unpack(content: bytes, folder: Path) -> None:
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        archive.extractall(folder, filter="data")


def _put_in_place(content: bytes, folder: Path) -> None:
    part, old = folder.with_name(f"{folder.name}.part"), folder.with_name(f"{folder.name}.old")
    shutil.rmtree(part, ignore_errors=True)
    _unpack(content, part)
    # What is there was sent, and the new one is its continuation. Between the two renames a kill leaves the old one.
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(part, folder)
    shutil.rmtree(old, ignore_errors=True)


def _bring_back(folder: Path) -> None:
    old = folder.with_name(f"{folder.name}.old")
    if old.is_dir() and not folder.exists():
        os.replace(old, folder)


@contextmanager
def _watched(places: Sequence[Path], total: int) -> Iterator[None]:
    """Show how far trainings are, from the logs in their folders."""
    ended = threading.Event()
    with WorkProgress("learning", "decisions", total, done=sum(map(_steps_in, places))) as shown:

        def watch() -> None:
            while not ended.wait(_LOOK_EVERY_S):
                shown.update(sum(map(_steps_in, places)))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
        shown.update(sum(map(_steps_in, places)))


def _steps_in(folder: Path) -> int:
    try:
        with (folder / LOG_FILE).open(newline="", encoding="utf-8") as file:
            return max((int(float(row[STEP_COLUMN])) for row in csv.DictReader(file)), default=0)
    except (OSError, ValueError, TypeError):  # not there yet, or half a line
        return 0
