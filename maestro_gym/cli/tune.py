"""The verb ``tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import dotted_overrides, output, show_table, write_json
from maestro_gym.cli.options import JsonFile, Overrides, Overwrite, Trust
from maestro_gym.core.errors import MaestroError


def tune(
    overrides: Overrides = None,
    config: Annotated[
        str | None,
        typer.Option("--config", help="A name in configs/tune, or the path of a YAML file.", show_default="quick"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder of the study.", show_default="runs/tune/TIME")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume", help="The folder of a study to go on with; the trial that was under way goes on, too."
        ),
    ] = None,
    overwrite: Overwrite = False,
    trust: Trust = False,
    json_file: JsonFile = None,
) -> None:
    """Let Optuna choose settings of a training, a search or a scenario, judged on validation episodes.

    A file says which verb a trial runs, what varies and what counts. The folder holds study.sqlite3, which Optuna's own
    tools open, trials.csv, plots.html, the run folder of every trial, and best.yaml, the best settings as a file that
    the verb takes. Test episodes are never looked at. The words at the end of the line change settings of the study.

    Example: maestro-gym tune

    Example: maestro-gym tune --config train trials=12 sampler=gp pruner=hyperband

    Example: maestro-gym tune --resume runs/tune/MY_STUDY trials=40

    Example: maestro-gym compare --scenario runs/tune/MY_STUDY/best.yaml -p maestro --seeds 200-219
    """
    from maestro_gym.agents.tune.study import run_tune

    if resume is not None and not (config is None and out is None):
        raise MaestroError(
            f"--resume {resume} goes on with the settings in that folder, so --config and --out cannot stand beside it."
        )
    result = run_tune(
        config,
        overrides=dotted_overrides(overrides),
        out=out,
        resume=resume,
        overwrite=overwrite,
        trust=trust,
        console=(console := output()),
    )
    show_table("trials", result.rows)
    if result.best is not None:
        show_table("the best, on validation episodes", [result.best])
        console.print(f"\nSettings: {result.folder / 'best.yaml'}", highlight=False, soft_wrap=True)
        console.print(f"Policy:   {result.policy}", highlight=False, soft_wrap=True)
    console.print(f"Figures:  {result.folder / 'plots.html'}", highlight=False, soft_wrap=True)
    console.print(f"Study:    {result.folder}", highlight=False, soft_wrap=True)
    write_json(
        json_file,
        {"command": "tune", "folder": result.folder, "best": result.best, "policy": result.policy, "rows": result.rows},
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command()(tune)
