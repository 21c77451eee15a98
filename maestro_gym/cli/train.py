"""The verb ``train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maestro_gym.cli.console import dotted_overrides, output, seed_numbers, show_table, write_json
from maestro_gym.cli.options import LOCAL, Contention, Jobs, JsonFile, On, Overrides, Overwrite, Trust
from maestro_gym.core.errors import MaestroError


def train(
    overrides: Overrides = None,
    scenario: Annotated[
        str | None,
        typer.Option("--scenario", "-s", help="The name or the YAML file of a scenario.", show_default="quick"),
    ] = None,
    contention: Contention = None,
    tier: Annotated[
        str | None,
        typer.Option(
            "--tier",
            "-t",
            help="The tier that learns: global, cluster, node or joint.",
            show_default="the configuration's",
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config", help="A name in configs/train, or the path of a YAML file.", show_default="the scenario's"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            help="The seed of the network, of sampling and of the episodes.",
            show_default="the configuration's",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds", help="Train once with each of these seeds, such as 0-4, each in a folder of its own in --out."
        ),
    ] = None,
    jobs: Jobs = None,
    on: On = LOCAL,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The run folder.", show_default="runs/train/NAME")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", help="The run folder to go on with, exactly where the run stopped.")
    ] = None,
    stop_at: Annotated[
        int | None,
        typer.Option("--stop-at", min=1, help="End early, after this number of decisions; --resume goes on."),
    ] = None,
    trust: Trust = False,
    overwrite: Overwrite = False,
    json_file: JsonFile = None,
) -> None:
    """Train a policy for one tier; the other tiers follow its companions.

    The settings of the training are changed by words that start with `train.` The run folder holds the configuration,
    the versions, the learning curves, the checkpoints and the policy; `compare` takes it as a policy. With --seeds
    there is such a folder for each seed, seed-0 and so on, and --resume of the folder around them goes on with all.

    Example: maestro-gym train -c high

    Example: maestro-gym train -s paper -t global --seed 3 train.total_steps=2000000

    Example: maestro-gym train -c high --seeds 0-4 --jobs 2 train.torch_threads=1

    Example: maestro-gym train --resume runs/train/MY_RUN train.total_steps=4000000
    """
    if resume is not None and any(given is not None for given in (scenario, contention, tier, config, seed, out)):
        raise MaestroError(
            f"--resume {resume} goes on with the configuration in that folder, so --scenario, --contention, --tier, "
            "--config, --seed and --out cannot stand beside it. Leave them out, or start a new run without --resume."
        )
    if seed is not None and seeds is not None:
        raise MaestroError("--seed and --seeds cannot stand side by side; name one of them.")
    changes = dotted_overrides(overrides)
    from maestro_gym.agents.train import run_train
    from maestro_gym.agents.train_seeds import run_train_seeds, seed_rows, seeds_of

    asked: dict[str, Any] = {
        "tier": tier,
        "contention": contention,
        "overrides": changes,
        "out": out,
        "resume": resume,
        "overwrite": overwrite,
        "stop_at_steps": stop_at,
        "trust": trust,
        "console": (console := output()),
    }
    several = seeds is not None or (resume is not None and bool(seeds_of(resume)))
    if several:
        from maestro_gym.evaluation.workers.choose import open_workers

        with open_workers(on, jobs) as workers:
            results = run_train_seeds(
                scenario or "quick", config, seeds=seed_numbers(seeds) or [], workers=workers, **asked
            )
        rows, folder = seed_rows(results), results[0].folder.parent
        show_table("validation episodes of the policy that each training kept", rows)
    else:
        if jobs is not None or on != LOCAL:
            raise MaestroError("--jobs and --on say where several seeds are trained; name them by --seeds.")
        result = run_train(scenario or "quick", config, seed=seed, **asked)
        results, rows, folder = [result], result.rows, result.folder
        minutes = result.wall_s / 60
        show_table("validation episodes", rows, f"{result.steps:,} decisions, {minutes:.1f} minutes")
    console.print(f"\nRun: {folder}", highlight=False, soft_wrap=True)
    write_json(
        json_file,
        {
            "command": "train",
            "folder": folder,
            "steps": sum(result.steps for result in results),
            "wall_s": sum(result.wall_s for result in results),
            "rows": rows,
        },
    )


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command()(train)
