"""The verb that measures the knee of a scenario."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from maestro_gym.cli.console import dotted_overrides, output, seed_numbers, show_table, write_json
from maestro_gym.cli.options import JsonFile, Overrides, ScenarioName, Trust


def knee(
    overrides: Overrides = None,
    scenario: ScenarioName = "quick",
    policy: Annotated[str, typer.Option("--policy", "-p", help="The policy whose backlog is looked at.")] = "maestro",
    seeds: Annotated[
        str | None, typer.Option("--seeds", help="The validation seeds, such as 0-8.", show_default="0-8")
    ] = None,
    trust: Trust = False,
    json_file: JsonFile = None,
) -> None:
    """Measure the arrival rate at which a policy's backlog stops draining, and print it as lines for the scenario.

    Above it, the median episode leaves more than 1 % of its workflows unfinished at the end of the drain. It is found
    by bisection, on validation episodes. In a scenario that holds the printed lines, low, medium, high and overload
    are 0.5, 0.8, 1.1 and 1.5 of the knee; without them they are parts of the capacity.

    Example: maestro-gym knee -s my_scenario.yaml

    Example: maestro-gym knee workload.family=coding_agent drain_s=1800
    """
    from maestro_gym.config import KneeConfig, dump_config
    from maestro_gym.evaluation.knee import SEEDS, measure_knee

    chosen = seed_numbers(seeds) or list(SEEDS)
    changes = dotted_overrides(overrides)
    found = measure_knee(scenario, changes, policy=policy, seeds=chosen, trust=trust)
    words = ["maestro-gym", "knee", "--scenario", scenario, *(["--policy", policy] if policy != "maestro" else [])]
    words += [*(["--seeds", seeds] if seeds else []), *changes]
    shares = " and ".join(f"{100 * share:.2g} % at load {load:.3g}" for load, share in (found.drained, found.kept))
    config = KneeConfig(
        load=found.load,
        measured_by=shlex.join(words),
        measured_on=f"policy {policy}, validation seeds {', '.join(map(str, chosen))}; left in the median: {shares}",
    )
    facts = {
        "capacity_rps": found.capacity_rps,
        "knee_rps": found.rate_rps,
        "knee_load": found.load,
        "drained_load": found.drained[0],
        "drained_left_share": found.drained[1],
        "kept_load": found.kept[0],
        "kept_left_share": found.kept[1],
    }
    show_table(f"knee of {scenario}", [{"field": field, "value": value} for field, value in facts.items()])
    console = output()
    console.print("\nBelow `workload:` of the scenario's file:\n", highlight=False)
    lines = dump_config(config).rstrip().replace("\n", "\n    ")
    console.print(f"  knee:\n    {lines}", highlight=False, markup=False, soft_wrap=True)
    write_json(json_file, {"command": "knee", "scenario": scenario, **facts, "knee": config.model_dump()})


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command()(knee)
