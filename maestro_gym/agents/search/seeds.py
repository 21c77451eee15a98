"""The same search with several seeds, and on which numbers they agree."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from maestro_gym.agents.run_folder import write_config
from maestro_gym.agents.search.kept import STATE_FILE
from maestro_gym.agents.search.search import SearchResult, run_search, search_folder
from maestro_gym.baselines.shaped.file import POLICY_FILE
from maestro_gym.config.search import SearchConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.evaluation.workers.workers import Workers

_PREFIX = "seed-"


def is_of_seeds(folder: Path) -> bool:
    """Whether a folder holds searches of several seeds."""
    return not (folder / STATE_FILE).exists() and any(folder.glob(f"{_PREFIX}*"))


def run_seeds(
    config: SearchConfig,
    seeds: Sequence[int],
    *,
    out: Path | None = None,
    resume: Path | None = None,
    overwrite: bool = False,
    workers: Workers | None = None,
    console: Console | None = None,
) -> list[SearchResult]:
    """Search with one seed after the other, each in a folder of its own; the folder around them offers the best.

    Args:
        config: Settings of all of them, but for the seed.
        seeds: Their seeds.
        out: The folder around them; None makes one below ``runs/search``.
        resume: Such a folder to go on with: what is finished is read, what is begun goes on, the others begin.
        overwrite: Remove the searches in ``out``, if there are any.
        workers: Who runs the episodes; None: threads of this process.
        console: Where words go; None prints on standard output.

    Returns:
        What each came to, in the order of the seeds.

    Raises:
        MaestroError: Seeds repeat, or as `run_search`.
    """
    if len(set(seeds)) != len(seeds):
        raise MaestroError(f"--seeds: {', '.join(map(str, seeds))} repeat; name each seed once.")
    console = console or Console()
    folder = resume or search_folder(out)
    go_on = f"maestro-gym search --resume {folder} --seeds {','.join(map(str, seeds))}"
    with run_folder(folder, resume=resume is not None, overwrite=overwrite, go_on=go_on):
        if overwrite:
            clear_earlier(folder)
        write_config(folder, config)
        results = []
        for number, seed in enumerate(seeds, 1):
            own = folder / f"{_PREFIX}{seed}"
            console.print(f"seed {seed}, {number} of {len(seeds)}: {own}", highlight=False, soft_wrap=True)
            its = config.model_copy(update={"seed": seed})
            results.append(run_search(its, resume=own, workers=workers, console=console))
        _offer(max(results, key=lambda result: result.worth), folder)
    return results


def _offer(best: SearchResult, folder: Path) -> None:
    """Copy the policy of the best search, with its rule where it has one, to the folder around all of them."""
    for path in (best.folder / POLICY_FILE, *best.folder.glob("*.py")):
        shutil.copyfile(path, folder / path.name)


def spread(results: Sequence[SearchResult]) -> list[dict[str, float]]:
    """One row a search: what it gained on validation episodes, in points of SLO attainment and in completion."""
    rows = []
    for result in results:
        slo, completion_s = result.validation["slo_attainment"], result.validation["completion_mean_s"]
        rows.append(
            {
                "seed": result.seed,
                "objective": round(result.worth, 4),
                "SLO, points": round(100 * (slo[0] - slo[1]), 2),
                "completion, %": round(100 * (completion_s[0] / completion_s[1] - 1), 2),
            }
        )
    return rows


def agreement(results: Sequence[SearchResult]) -> list[dict[str, str | float]]:
    """One row a number: its median and range over the searches, and how many moved it the same way.

    Args:
        results: Searches of the same numbers.
    """
    rows = []
    for name, default in results[0].defaults.items():
        values = np.array([result.values[name] for result in results])
        up, down = int((values > default).sum()), int((values < default).sum())
        word, count = ("up", up) if up >= down else ("down", down)
        rows.append(
            {
                "number": name,
                "default": default,
                "median": float(np.median(values)),
                "least": float(values.min()),
                "greatest": float(values.max()),
                "moved": f"{word} in {count} of {len(results)}",
            }
        )
    return rows
