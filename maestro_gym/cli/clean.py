"""The verb that removes what is not needed any more; it shows first, and asks by options for all but old caches."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import output, show_table, write_json
from maestro_gym.cli.options import JsonFile
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_state import FINISHED, RUNNING, UNFINISHED, Run, runs_in

_DAY_S = 86400.0
_STALE_S = 3600.0
"""Old code that was written within this time may still be in use by a process of an hour ago, and stays [s]."""


@dataclass(frozen=True)
class Item:
    """One thing that could be removed.

    Attributes:
        what: The folder, or what folders are taken together.
        size_bytes: What it takes.
        written_s: When it was written last [s since 1970].
        stays: Why it stays, with the option that would remove it; empty for what is removed.
        remove: Removes it.
    """

    what: str
    size_bytes: int
    written_s: float
    stays: str
    remove: Callable[[], None]

    def row(self, now_s: float) -> dict[str, object]:
        """What is shown of it."""
        days = max(0.0, now_s - self.written_s) / _DAY_S
        fate = f"stays: {self.stays}" if self.stays else "is removed"
        return {"what": self.what, "MB": round(self.size_bytes / 1e6, 1), "days old": round(days, 1), "fate": fate}


def clean(
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", help="The folder of runs to look through.")] = Path(
        "runs"
    ),
    finished: Annotated[bool, typer.Option("--finished", help="Remove finished runs, too.")] = False,
    unfinished: Annotated[
        bool,
        typer.Option("--unfinished", help="Remove runs that were stopped or killed, too; --resume cannot go on then."),
    ] = False,
    older_than: Annotated[
        float, typer.Option("--older-than", min=0.0, metavar="DAYS", help="Of runs, only those of so many days ago.")
    ] = 0.0,
    vllm: Annotated[
        bool,
        typer.Option("--vllm", help="Remove the environment of vLLM, too, which `maestro-gym fleet up` makes anew."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove; without it, it is only shown.")] = False,
    json_file: JsonFile = None,
) -> None:
    """Show what takes space and what would be removed, and remove it with --yes.

    By itself it removes compiled code of sources that no checkout has any more. Runs and the environment of vLLM go
    only when they are asked for, and a run that a process owns never goes.

    Example: maestro-gym clean

    Example: maestro-gym clean --finished --older-than 30 --yes
    """
    if older_than and not (finished or unfinished):
        raise MaestroError("--older-than is about runs; give --finished or --unfinished with it.")
    now_s = time.time()
    asked = {FINISHED: finished, UNFINISHED: unfinished}
    items = [*_caches(), *(_of_run(run, asked, now_s - older_than * _DAY_S) for run in runs_in(runs))]
    items += _vllm(runs, asked=vllm)
    gone = [item for item in items if not item.stays]
    total_mb = sum(item.size_bytes for item in gone) / 1e6
    if yes:
        for item in gone:
            item.remove()
        ending = f"{total_mb:,.1f} MB were removed."
    else:
        ending = f"{total_mb:,.1f} MB would be removed; --yes removes them." if gone else "Nothing would be removed."
    rows = [item.row(now_s) for item in items]
    show_table("caches, runs and environments", rows)
    output().print(ending, highlight=False)
    write_json(json_file, {"command": "clean", "removed": yes, "rows": rows})


def _caches() -> Iterable[Item]:
    """The cache in two items: code of present sources, and old code."""
    from maestro_gym.core.stale_code import cache_folders, note_checkout, remove_folders, stale_folders

    note_checkout()
    folders = cache_folders()
    stale = stale_folders(folders, _STALE_S)
    old = {folder.path for folder in stale}
    present = [folder for folder in folders if folder.path not in old]
    for what, group, stays in (
        ("compiled code and fits of present sources", present, "it is in use"),
        ("compiled code and fits of sources that are gone", stale, ""),
    ):
        if group:
            size_bytes = sum(folder.size_bytes for folder in group)
            written_s = max(folder.written_s for folder in group)
            words = f"{what} ({len(group)} folders)"
            yield Item(words, size_bytes, written_s, stays, lambda group=group: remove_folders(group))


def _of_run(run: Run, asked: dict[str, bool], before_s: float) -> Item:
    if run.state == RUNNING:
        stays = "a process owns it"
    elif not asked[run.state]:
        stays = f"{run.state}; --{run.state} removes it"
    elif run.written_s > before_s:
        stays = f"{run.state}; it is younger than --older-than"
    else:
        stays = ""
    return Item(f"run {run.folder}", run.size_bytes, run.written_s, stays, lambda: _remove_run(run.folder))


def _remove_run(folder: Path) -> None:
    """Remove a run as its owner, so that none begins in its folder meanwhile."""
    from maestro_gym.core.run_folder import run_folder

    with run_folder(folder, overwrite=True):
        shutil.rmtree(folder)


def _vllm(runs: Path, *, asked: bool) -> Iterable[Item]:
    """The environment of vLLM, where there is one; servers that a fleet started from it keep it."""
    from maestro_gym.config.live import LaunchConfig
    from maestro_gym.core.run_state import size_and_time
    from maestro_gym.real_backend.fleet.processes import read_notes

    venv = Path(LaunchConfig().venv)
    if venv.is_dir():
        size_bytes, written_s = size_and_time(venv)
        running = [note for fleet in runs.glob("fleets/*") for note in read_notes(fleet).values() if note.alive]
        stays = "" if asked else "--vllm removes it"
        if running:
            stays = f"{len(running)} servers run; `maestro-gym fleet down` ends them"
        yield Item(f"environment {venv}", size_bytes, written_s, stays, lambda: shutil.rmtree(venv))


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command()(clean)
