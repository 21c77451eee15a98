"""The verbs ``search`` and ``explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import dotted_overrides, output, seed_numbers, show_table, write_json
from maestro_gym.cli.options import Contention, JsonFile, Overrides, ScenarioName
from maestro_gym.core.errors import MaestroError


def search(
    overrides: Overrides = None,
    config: Annotated[
        str | None,
        typer.Option("--config", help="A name in configs/search, or the path of a YAML file.", show_default="quick"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder.", show_default="runs/search/TIME")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume", help="Your own run folder to go on with, exactly where it stopped; its checkpoint is a pickle."
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Search the numbers of a policy over whole episodes, held against a reference on the same episodes.

    The run folder holds the settings, the log of all generations and policy.yaml, a small readable file of numbers,
    which every verb takes as a policy. The words at the end of the line change settings of the search.

    Example: maestro-gym search

    Example: maestro-gym search --config generalist generations=200

    Example: maestro-gym compare -p maestro,runs/search/MY_RUN/policy.yaml -c high
    """
    from maestro_gym.agents.search.search import CONFIG_FILE, run_search
    from maestro_gym.config import load_search

    if resume is not None and (config is not None or out is not None):
        raise MaestroError(
            f"--resume {resume} goes on with the settings in that folder, so --config and --out cannot stand beside it."
        )
    source = str(resume / CONFIG_FILE) if resume is not None else config or "quick"
    console = output()
    result = run_search(load_search(source, dotted_overrides(overrides)), out=out, resume=resume, console=console)
    rows = [
        {"measure": name, "kept": round(ours, 4), "reference": round(theirs, 4)}
        for name, (ours, theirs) in result.validation.items()
    ]
    caption = f"{result.episodes:,} episodes, {result.wall_s / 60:.1f} minutes; objective {result.worth:+.4f}"
    show_table("validation episodes", rows, caption)
    console.print(f"\nRun: {result.folder}", highlight=False, soft_wrap=True)
    write_json(
        json_file,
        {
            "command": "search",
            "folder": result.folder,
            "episodes": result.episodes,
            "wall_s": result.wall_s,
            "rows": rows,
        },
    )


def explain(
    policy: Annotated[str, typer.Argument(help="A policy of the shaped family: a name, or a file of numbers.")],
    overrides: Overrides = None,
    scenario: ScenarioName = "quick",
    contention: Contention = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", help="Validation seeds, such as 0-15.", show_default="0-15")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Say what each number of a searched policy is worth: it is taken back to Maestro's value, on the same episodes.

    Example: maestro-gym explain searched -c high

    Example: maestro-gym explain runs/search/MY_RUN/policy.yaml -c high --seeds 0-7
    """
    from maestro_gym.agents.search.explain import explain as taken_back
    from maestro_gym.episodes.scenario import Scenario

    changes = [*([f"contention={contention}"] if contention else []), *dotted_overrides(overrides)]
    chosen = seed_numbers(seeds) or list(range(16))
    rows = [
        {
            "number": worth.name,
            "value": f"{worth.value:.4g}" if worth.unit else "",
            "Maestro": f"{worth.default:g} {worth.unit}" if worth.unit else "",
            "SLO, points": f"{100 * worth.slo.estimate:+.1f} [{100 * worth.slo.low:.1f}, {100 * worth.slo.high:.1f}]",
            "completion, s": f"{worth.completion_s.estimate:+.1f} "
            f"[{worth.completion_s.low:.1f}, {worth.completion_s.high:.1f}]",
            "meaning": worth.meaning,
        }
        for worth in taken_back(policy, Scenario.load(scenario, changes), chosen)
    ]
    caption = f"with it minus without it, paired over {len(chosen)} validation episodes, 95 % intervals"
    show_table(f"what the numbers of {policy} are worth", rows, caption)
    write_json(json_file, {"command": "explain", "policy": policy, "seeds": chosen, "rows": rows})


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(search)
    app.command()(explain)
