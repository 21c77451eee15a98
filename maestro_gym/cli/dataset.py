"""The verb ``dataset``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import dotted_overrides, output, seed_numbers, show_table, write_json
from maestro_gym.cli.options import Contention, JsonFile, Overrides, Trust


def dataset(
    overrides: Overrides = None,
    env: Annotated[
        str, typer.Option("--env", help="The id of the environment, which says whose decisions are recorded.")
    ] = "Maestro/Cluster-v0",
    policy: Annotated[
        str, typer.Option("--policy", "-p", help="Who decides, named as for `maestro-gym compare`.")
    ] = "maestro",
    scenario: Annotated[
        str | None,
        typer.Option(
            "--scenario",
            "-s",
            help="A name in configs/scenarios, or the path of a YAML file.",
            show_default="quick, or the live fleet's own",
        ),
    ] = None,
    contention: Contention = None,
    seeds: Annotated[str, typer.Option("--seeds", help="The seeds of the episodes, such as 0-9.")] = "0-3",
    split: Annotated[
        str, typer.Option("--split", help="The split of the episodes: train, validation or test.")
    ] = "train",
    explore: Annotated[
        float, typer.Option("--explore", help="The share of the decisions that are a legal action drawn at random.")
    ] = 0.0,
    information: Annotated[
        str, typer.Option("--information", help="P, or N to blank what rests on predictions.")
    ] = "P",
    fleet: Annotated[
        str | None, typer.Option("--fleet", help="The fleet file of a live environment.", show_default="local_cpu")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="The name of the dataset in Minari.",
            show_default="maestro/TIER/POLICY-SCENARIO-CONTENTION-v0",
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root", help="The folder of the datasets.", show_default="MINARI_DATASETS_PATH, or ~/.minari/datasets"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Put this dataset in the place of an earlier one of its name.")
    ] = False,
    trust: Trust = False,
    json_file: JsonFile = None,
) -> None:
    """Write the episodes of an environment under a policy as a Minari dataset, for offline learning.

    A decision is recorded as the environment shows it: observation with its mask, action, reward and the simulated time
    until the next. The dataset says how it was made: policy, scenario and its hash, seeds, versions.

    Example: maestro-gym dataset -p searched -c high --seeds 0-7

    Example: maestro-gym dataset -p maestro -c high --explore 0.2 --name maestro/cluster/mixed-v0

    Example: maestro-gym dataset --env Maestro/Live-Cluster-v0 --fleet local_cpu -p warm-jsq+maestro --seeds 0
    """
    from maestro_gym.agents.dataset.write import write_dataset

    changes = [*([f"contention={contention}"] if contention else []), *dotted_overrides(overrides)]
    made = write_dataset(
        policy,
        env_id=env,
        dataset_id=name,
        scenario=scenario,
        overrides=changes,
        split=split,
        seeds=seed_numbers(seeds) or [],
        explore=explore,
        information=information,
        fleet=fleet,
        root=root,
        overwrite=overwrite,
        trust=trust,
    )
    show_table("episodes", made.rows, "return: sum of the rewards; of_policy: share of the decisions that it chose")
    console = output()
    console.print(f"\nDataset: {made.dataset_id}", highlight=False, soft_wrap=True)
    console.print(f"Folder:  {made.folder}", highlight=False, soft_wrap=True)
    document = {"command": "dataset", "dataset": made.dataset_id, "folder": made.folder, "rows": made.rows}
    write_json(json_file, document | {"about": made.about})


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command()(dataset)
