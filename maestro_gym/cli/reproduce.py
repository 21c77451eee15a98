"""The verb that measures the claims of the Maestro paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import output
from maestro_gym.cli.options import LOCAL, Jobs, JsonFile, On, Overwrite
from maestro_gym.core.errors import MaestroError


def reproduce(
    size: Annotated[
        str,
        typer.Option("--size", help="How much is run: full, or small, which is for a first look and tells less."),
    ] = "full",
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            min=1,
            help="The number of seeds at high contention; each point of a sweep takes half of them.",
            show_default="10; 3 if small",
        ),
    ] = None,
    jobs: Jobs = None,
    on: On = LOCAL,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The run folder for the page and all numbers.", show_default="runs/reproduce/TIME"
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--page", metavar="FILE", help="Also write the page as Markdown there, its figures into images/ beside it."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a run in --out that was stopped: only what it lacks is run."),
    ] = False,
    overwrite: Overwrite = False,
    json_file: JsonFile = None,
) -> None:
    """Measure each claim of the Maestro paper, and write one page: its figure, ours with intervals, and a verdict.

    Verdicts follow from the intervals by rules that the page states. Sweeps over load and over what the paper does not
    publish say where a claim holds. The page is reproduce.html and reproduce.md in the run folder.

    Example: maestro-gym reproduce

    Example: maestro-gym reproduce --size small

    Example: maestro-gym reproduce --out runs/claims --resume
    """
    from maestro_gym.evaluation.reproduce.run import run_reproduce

    if resume and out is None:
        raise MaestroError("--resume: say by --out which folder holds the run that was stopped.")
    run_reproduce(
        size,
        seeds=seeds,
        out=out,
        page=page,
        json_path=json_file,
        jobs=jobs,
        on=on,
        resume=resume,
        overwrite=overwrite,
        console=output(),
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command()(reproduce)
