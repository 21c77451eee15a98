"""``maestro-gym evolve run``: a small search over programs, by random edits and without a language model.

Every program is a random edit of one of the best so far. Programs are scored by training episodes; at the end the best
few meet whole validation episodes, beside the program that it all began with, and the best of them is kept.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from maestro_gym.config import dump_config
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.core.whole_file import write_whole
from maestro_gym.evaluation.program_search.evaluate import RULE_NAME, Evaluator, Verdict, around_of
from maestro_gym.evaluation.program_search.export import PROGRAM_FILE, TASK_FILE, read_task
from maestro_gym.evaluation.program_search.mutate import expression, mutated
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.run_info import command_line, commit, machine, now_utc, versions

ARCHIVE_FILE, PROGRAMS, FOUND_FILE, RUN_FILE = "archive.jsonl", "programs", "found.py", "run.json"

PARENTS = 4
"""Programs that new ones are made of: the best so far, each as likely."""

FINALISTS = 3
"""Programs that meet validation episodes at the end, besides the first."""

_TRIES = 20
"""Edits that are tried for a program that was not there yet."""


@dataclass(frozen=True)
class Scored:
    """A program of the archive.

    Attributes:
        number: Its number; 0 is the one that it began with.
        parent: The program that it was made of.
        score: On training episodes.
        expression: What it returns.
        error: Why it failed, or nothing.
    """

    number: int
    parent: int
    score: float
    expression: str
    error: str


@dataclass(frozen=True)
class Evolved:
    """What a search came to.

    Attributes:
        folder: Its folder.
        policy: What `compare` takes as the program that was kept.
        rows: A row for each program that met validation episodes, the best first.
        programs: Programs scored.
        failed: Those of them that failed.
    """

    folder: Path
    policy: str
    rows: list[dict[str, Any]]
    programs: int
    failed: int


def run_loop(
    task_folder: Path,
    *,
    programs: int = 30,
    seed: int = 0,
    out: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
) -> Evolved:
    """Search, or go on with a search.

    Args:
        task_folder: The folder of an export; its programs run as code.
        programs: Programs that are scored, the first among them.
        seed: Of the edits.
        out: The folder of the search; None makes one below ``runs/evolve``.
        resume: Go on with the search in ``out``.
        overwrite: Remove the search in ``out``, if there is one.
        console: Where words go; None prints on standard output.

    Returns:
        What was found.

    Raises:
        MaestroError: The task, its first program or the folder cannot be had, or the first program fails.
        KeyboardInterrupt: Interrupted; the programs scored so far are in the folder.
    """
    task, first = read_task(task_folder), task_folder / PROGRAM_FILE
    if not first.is_file():
        raise MaestroError(f"{first}: there is no program to begin with; write one by `maestro-gym evolve export`.")
    folder = out or Path("runs") / "evolve" / time.strftime("%Y%m%d-%H%M%S")
    go_on = f"maestro-gym evolve run {task_folder} --programs {programs} --seed {seed} --out {folder} --resume"
    with run_folder(folder, resume=resume, overwrite=overwrite, go_on=go_on):
        if overwrite:
            clear_earlier(folder)
        (folder / PROGRAMS).mkdir(exist_ok=True)
        write_whole(folder / TASK_FILE, dump_config(task))
        with Evaluator(task, kept_in=folder) as evaluator:
            archive = _Archive(folder, first.read_text(encoding="utf-8"))
            _search(archive, evaluator, programs, seed)
            (console or Console()).print(f"{len(archive.scored)} programs; the best meet validation episodes")
            rows = _finals(archive, evaluator)
        best = archive.file(int(rows[0]["program"]))
        write_whole(folder / FOUND_FILE, best.read_text(encoding="utf-8"))
        failed = sum(bool(each.error) for each in archive.scored)
        about = {"command": command_line(), "written": now_utc(), "machine": machine(), "versions": versions()}
        about |= {"commit": commit(), "seed": seed, "programs": len(archive.scored), "failed": failed, "finals": rows}
        write_whole(folder / RUN_FILE, json.dumps(about, indent=2) + "\n")
    policy = f"{folder / FOUND_FILE}:{RULE_NAME}{around_of(task)}"
    return Evolved(folder, policy, rows, len(archive.scored), failed)


class _Archive:
    """Programs and their scores, on disk as soon as they are known."""

    def __init__(self, folder: Path, first: str) -> None:
        self._folder, self.first = folder, first
        self.scored: list[Scored] = []
        path = folder / ARCHIVE_FILE
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            try:
                self.scored.append(Scored(**json.loads(line)))
            except (ValueError, TypeError):
                break  # a line that a kill has cut
        self._rewrite()

    def file(self, number: int) -> Path:
        """The file of a program."""
        return self._folder / PROGRAMS / f"{number:05d}.py"

    def best(self, count: int) -> list[Scored]:
        """The best programs that did not fail, best first; those of one score decide alike, and the first counts."""
        by_score = {each.score: each for each in reversed(self.scored) if not each.error}
        return sorted(by_score.values(), key=lambda each: -each.score)[:count]

    def add(self, scored: Scored) -> None:
        """Add a program whose file is written."""
        self.scored.append(scored)
        self._rewrite()

    def _rewrite(self) -> None:
        lines = "".join(json.dumps(asdict(each)) + "\n" for each in self.scored)
        write_whole(self._folder / ARCHIVE_FILE, lines)


def _search(archive: _Archive, evaluator: Evaluator, programs: int, seed: int) -> None:
    with WorkProgress("evolving", "programs", programs, done=len(archive.scored)) as shown:
        while len(archive.scored) < programs:
            number = len(archive.scored)
            parent, text = _next(archive, number, seed)
            write_whole(archive.file(number), text)
            verdict = evaluator.score(archive.file(number))
            error = verdict.artifacts.get("error", "") if verdict.failed else ""
            if number == 0 and error:
                raise MaestroError(f"{PROGRAM_FILE} fails, and nothing can be made of it: {error}")
            archive.add(Scored(number, parent, verdict.score, expression(text), error))
            shown.update(
                number + 1, note=f"best {archive.best(1)[0].score:.4f}, the first {archive.scored[0].score:.4f}"
            )


def _next(archive: _Archive, number: int, seed: int) -> tuple[int, str]:
    """The parent and the text of a program, which depend on the archive, its number and the seed alone."""
    if number == 0:
        return 0, archive.first
    generator = random.Random(f"{seed}:{number}")
    known = {each.expression for each in archive.scored}
    parent, text = 0, archive.first
    for _ in range(_TRIES):
        parent = generator.choice(archive.best(PARENTS)).number
        text = mutated(archive.file(parent).read_text(encoding="utf-8"), generator)
        if expression(text) not in known:
            break
    return parent, text


def _finals(archive: _Archive, evaluator: Evaluator) -> list[dict[str, Any]]:
    chosen = archive.best(FINALISTS)
    if all(each.number for each in chosen):
        chosen.append(archive.scored[0])
    rows = []
    with WorkProgress("validating", "programs", len(chosen)) as shown:
        for done, each in enumerate(chosen, 1):
            verdict = evaluator.validate(archive.file(each.number))
            rows.append(_row(each, verdict))
            shown.update(done)
    return sorted(rows, key=lambda row: -row["validation"])


def _row(each: Scored, verdict: Verdict) -> dict[str, Any]:
    row: dict[str, Any] = {"program": each.number, "training": each.score, "validation": verdict.score}
    row |= {name: verdict.metrics.get(name) for name in ("slo_attainment", "completion_mean_s")}
    return row | {"expression": each.expression}
