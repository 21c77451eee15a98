"""The verb that draws finished comparisons again, one of them or several together."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import output
from maestro_gym.cli.options import JsonFile, Overwrite, Wide
from maestro_gym.core.errors import MaestroError


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="The folders of comparisons that have ended.")],
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="The policy to which differences refer.", show_default="that of the runs"),
    ] = None,
    table_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="KIND",
            help="Print nothing but the tables, as markdown, csv (plain numbers with the ends of their intervals) or "
            "latex.",
        ),
    ] = None,
    wide: Wide = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The folder for the results, the plots and the report.",
            show_default="the run's own; of several runs/report/TIME",
        ),
    ] = None,
    overwrite: Overwrite = False,
    json_file: JsonFile = None,
) -> None:
    """Draw finished comparisons again: the table, the plots and the page; several runs become one.

    Runs can be merged when their policies met the same episodes: the same split and seeds, and the same scenario
    wherever two of them share one. A run alone is drawn again in its own folder, as this version draws it.

    Example: maestro-gym report runs/compare/MY_RUN

    Example: maestro-gym report runs/mine runs/theirs --reference fcfs --out runs/both

    Example: maestro-gym report runs/mine --format latex --wide > table.tex
    """
    from maestro_gym.evaluation.comparison_files import write_document
    from maestro_gym.evaluation.finished_run import read_run
    from maestro_gym.evaluation.merge_runs import merge_runs
    from maestro_gym.evaluation.redraw import redraw
    from maestro_gym.evaluation.report.display import headline
    from maestro_gym.evaluation.report.table import print_comparison
    from maestro_gym.evaluation.report.written_table import FORMATS, write_tables

    if table_format is not None and table_format not in FORMATS:
        raise MaestroError(f"--format {table_format}: there is no such format; name one of {', '.join(FORMATS)}.")
    if overwrite and out is None:
        raise MaestroError("--overwrite: has no meaning without --out; leave it out, or name the folder by --out.")
    comparison = merge_runs([read_run(folder) for folder in _each_once(runs)], reference)
    if table_format is not None and out is None:
        page = None
    else:
        own = out or (runs[0] if len(runs) == 1 else Path("runs") / "report" / time.strftime("%Y%m%d-%H%M%S"))
        page = redraw(comparison, own, again=out is None and len(runs) == 1, overwrite=overwrite)
    if json_file is not None:
        write_document(comparison, json_file)
    if table_format is not None:
        typer.echo(write_tables(comparison, headline(comparison.rows, wide=wide), table_format), nl=False)
        return
    console = output()
    print_comparison(comparison, console, wide=wide)
    console.print(f"\nReport:  {page}", highlight=False, soft_wrap=True)


def _each_once(runs: list[Path]) -> list[Path]:
    kept = {folder.resolve(): folder for folder in reversed(runs)}
    if len(kept) < len(runs):
        raise MaestroError("A run is named twice; name each folder once.")
    return runs


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command()(report)
