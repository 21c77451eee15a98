"""The verbs that show what there is: policies, scenarios, metrics, and whether this machine is ready."""

from __future__ import annotations

from typing import Annotated

import typer

from maestro_gym.cli.console import dotted_overrides, show_table, write_json
from maestro_gym.cli.options import Contention, JsonFile, Overrides, ScenarioName, Trust


def policies(
    check: Annotated[
        str | None,
        typer.Option(
            "--check",
            metavar="POLICY",
            help="Ask each rule of file.py:Rule, of an agent or model, or of a named policy, again with what it may "
            "not know changed, and say whether it keeps to its information class.",
        ),
    ] = None,
    trust: Trust = False,
    json_file: JsonFile = None,
) -> None:
    """List the policies with their rules and with what they may know, or check one of them.

    A policy of class N reads the past and the present, one of class P predictions too, one of class O the true future.
    The exit code of a check is 1 when a rule heeds what its class may not know.

    NAME@early, such as edf@early, is any of them with its stages bound to nodes as soon as they are ready.

    Example: maestro-gym policies --json policies.json

    Example: maestro-gym policies --check my_rule.py:RULE
    """
    from maestro_gym.cli.listings import check_rows, policy_rows

    if check is not None:
        rows = check_rows(check, trust=trust)
        show_table(f"information classes of {check}", rows, "heeds: what moved an answer although its class forbids it")
        write_json(json_file, {"command": "policies", "check": check, "rows": rows})
        if any(row["heeds"] for row in rows):
            raise typer.Exit(1)
        return
    rows = policy_rows()
    show_table(
        "policies",
        rows,
        "N: past and present, P: predictions too, O: the true future. NAME@early is any of them bound at readiness, "
        "without the gates of late binding.",
    )
    write_json(json_file, {"command": "policies", "rows": rows})


def scenarios(json_file: JsonFile = None) -> None:
    """List the scenarios that come with the package.

    Example: maestro-gym scenarios
    """
    from maestro_gym.cli.listings import scenario_rows

    rows = scenario_rows()
    show_table(
        "scenarios", rows, "each at low, medium, high and overload contention; `maestro-gym describe` shows one whole"
    )
    write_json(json_file, {"command": "scenarios", "rows": rows})


def describe(
    scenario: ScenarioName = "quick",
    contention: Contention = None,
    overrides: Overrides = None,
    json_file: JsonFile = None,
) -> None:
    """Show a scenario: its fleet, its models, its capacity and knee, and the load that is offered.

    Example: maestro-gym describe --scenario paper --contention high

    Example: maestro-gym describe workload.load=0.95
    """
    from maestro_gym.cli.listings import scenario_tables

    chosen = [f"contention={contention}"] if contention else []
    tables = scenario_tables(scenario, chosen + dotted_overrides(overrides))
    for title, rows in tables.items():
        show_table(title, rows)
    write_json(json_file, {"command": "describe", **tables})


def metrics(json_file: JsonFile = None) -> None:
    """List the metrics of a comparison with their units and formulas.

    Example: maestro-gym metrics --json metrics.json
    """
    from maestro_gym.cli.listings import metric_rows

    rows = metric_rows()
    show_table("metrics", rows, "per_class: also given for interactive and batch workflows alone")
    write_json(json_file, {"command": "metrics", "rows": rows})


def doctor(json_file: JsonFile = None) -> None:
    """Print the versions, cores, threading and caches of this machine, and run a self-test of the engine.

    The exit code is 1 when a check fails.

    Example: maestro-gym doctor --json doctor.json
    """
    from maestro_gym.cli.doctor import examine

    rows = examine()
    show_table("maestro-gym doctor", rows)
    write_json(json_file, {"command": "doctor", "rows": rows})
    if any(row["state"] == "failed" for row in rows):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the verbs that show what there is to the program."""
    for verb in (policies, scenarios, describe, metrics, doctor):
        app.command()(verb)
