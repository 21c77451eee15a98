"""The claims measured from start to end: comparisons through the engine of `compare`, then the page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from maestro_gym.baselines.registry import TABLE
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.evaluation.compare import compare
from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.reproduce.decision_latency import decision_latencies
from maestro_gym.evaluation.reproduce.page import print_verdicts, write_pages
from maestro_gym.evaluation.reproduce.plan import SIZES, Part, make_plan, missing
from maestro_gym.evaluation.reproduce.predictor_error import predictor_errors
from maestro_gym.evaluation.reproduce.reproduction import Reproduction, judge_all
from maestro_gym.evaluation.run_info import command_line, commit, machine, now_utc, resumed_command, versions
from maestro_gym.evaluation.workers.choose import LOCAL, open_workers
from maestro_gym.evaluation.workers.workers import Workers

PARTS = "parts"
"""Folder of the comparisons, one each, in which finished episodes are kept."""

_FEWEST_SWEPT = 2
"""Seeds of each point of a sweep at least: an interval needs two."""


def run_reproduce(
    size: str = "full",
    *,
    seeds: int | None = None,
    out: Path | None = None,
    page: Path | None = None,
    json_path: Path | None = None,
    jobs: int | None = None,
    on: str = LOCAL,
    resume: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
) -> tuple[Reproduction, Path]:
    """Measure every claim, print the verdicts, and leave a folder with page, figures and numbers.

    Args:
        size: A name of ``plan.SIZES``.
        seeds: Seeds of the comparisons at high contention, half of them at each point of a sweep; None: the size's own.
        out: Run folder; None makes ``runs/reproduce/<time>``.
        page: Also write the page there, its figures into ``images`` beside it.
        json_path: Another place for ``reproduce.json``.
        jobs: Episodes at a time; None: one for every usable core.
        on: Where they run; see ``workers.choose.open_workers``.
        resume: Go on with the run in ``out``: only what it lacks is run.
        overwrite: Remove the run in ``out``, if there is one.
        console: Where verdicts go; None prints on standard output.

    Returns:
        What was found, and the run folder.

    Raises:
        MaestroError: There is no such size, too few seeds, or the folder may not be written.
    """
    console = console or Console()
    folder = out or Path("runs") / "reproduce" / time.strftime("%Y%m%d-%H%M%S")
    if size not in SIZES:
        raise MaestroError(f"--size {size}: there is no such size; write {' or '.join(SIZES)}.")
    chosen = SIZES[size]
    if seeds is not None:
        if seeds < _FEWEST_SWEPT:
            raise MaestroError(f"--seeds {seeds}: an interval needs at least {_FEWEST_SWEPT} seeds.")
        chosen = replace(chosen, main_seeds=seeds, swept_seeds=max(_FEWEST_SWEPT, seeds // 2))
    begin_s = time.monotonic()
    with run_folder(folder, resume=resume, overwrite=overwrite, go_on=resumed_command(folder)):
        if overwrite:
            clear_earlier(folder)
        parts, axes = make_plan(chosen, folder / PARTS / "variants")
        absent = missing(sorted({name for part in parts for name in part.policies}), list(TABLE))
        parts = [replace(part, policies=tuple(n for n in part.policies if n not in absent)) for part in parts]
        parts = [part for part in parts if part.policies]
        with open_workers(on, jobs) as workers:
            found = run_parts(parts, folder / PARTS, workers)
        _tell("errors of predictors")
        elsewhere = predictor_errors(folder / PARTS / "predictor-error", chosen.test_workflows)
        _tell("times of decisions")
        elsewhere |= decision_latencies(folder / PARTS / "latency", parts[0].seeds)
        info = {
            **{"command": command_line(), "created": now_utc(), "machine": machine(), "commit": commit()},
            **{"versions": versions(), "size": size, "wall_s": time.monotonic() - begin_s},
        }
        result = Reproduction(judge_all(found, elsewhere, axes), axes, parts, absent, info)
        written = write_pages(result, folder, page, json_path)
    print_verdicts(result, console)
    console.print(f"\nPage: {written}", highlight=False, soft_wrap=True)
    return result, folder


def run_parts(parts: Sequence[Part], folder: Path, workers: Workers) -> dict[str, Comparison]:
    """Run comparisons one after the other; what a folder holds of them already is not run again.

    Args:
        parts: The comparisons.
        folder: A folder each is made in it.
        workers: Who runs the episodes.

    Returns:
        The comparisons, by name.
    """
    found = {}
    for number, part in enumerate(parts, 1):
        _tell(f"comparison {number} of {len(parts)}: {part.words}")
        found[part.name] = compare(
            [part.scenario],
            part.policies,
            predictors=part.predictors,
            seeds=part.seeds,
            overrides=part.overrides,
            workers=workers,
            folder=folder / part.name,
            resume=True,
        )
    return found


def _tell(words: str) -> None:
    Console(stderr=True).print(words, highlight=False, markup=False, soft_wrap=True)
