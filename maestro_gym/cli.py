"""The one command line of the project: ``maestro-gym VERB``.

Heavy modules are imported inside the verbs, so that help comes at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from maestro_gym import __version__
from maestro_gym.console import dotted_overrides, show_table, write_json
from maestro_gym.errors import MaestroError


class _Verbs(TyperGroup):
    """The group of verbs; a user's mistake becomes one paragraph and exit code 2, never a trace."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - click's context, or the copy of it that typer brings
        try:
            return super().invoke(ctx)
        except MaestroError as error:
            typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    name="maestro-gym",
    cls=_Verbs,
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Train, compare and validate schedulers for LLM multi-agent serving.

A first hour:

  maestro-gym doctor                             is this machine ready?

  maestro-gym compare --scenario quick           Maestro beside its classic rivals

  maestro-gym train --scenario quick             train a routing policy of your own

  maestro-gym compare --policy runs/MY_RUN       see where it stands

Every verb takes --help. Settings of a scenario are changed by words at the end of the line:
workload.load=0.9 limits.node_queue_limit=4.""",
)

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="PLACE=VALUE", help="Settings to change: workload.load=0.9", show_default=False),
]
ScenarioName = Annotated[
    str, typer.Option("--scenario", "-s", help="Name in configs/scenarios, or the path of a YAML file.")
]
Contention = Annotated[
    str | None,
    typer.Option("--contention", "-c", help="low, medium or high: offered load 0.5, 0.8 or 1.1 of capacity."),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write what is printed as JSON, same names.")
]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(f"maestro-gym {__version__}")
        raise typer.Exit


def _overrides(words: list[str] | None, contention: str | None) -> list[str]:
    chosen = [f"contention={contention}"] if contention else []
    return chosen + dotted_overrides(words)


@app.command()
def validate() -> None:
    """Validate a policy on live vLLM nodes (not in this version).

    The verb keeps its place, so that scripts can name it; it always exits with code 2.
    """
    raise MaestroError(
        f"Live validation is not part of maestro-gym {__version__}: this version drives no vLLM node. "
        "Compare policies in the simulator with `maestro-gym compare`; CHANGELOG.md says what each version brings."
    )


@app.command()
def scenarios(json_file: JsonFile = None) -> None:
    """List the scenarios that come with the package.

    Example: maestro-gym scenarios
    """
    from maestro_gym.listings import scenario_rows

    rows = scenario_rows()
    show_table("scenarios", rows, "each at low, medium and high contention; `maestro-gym describe` shows one whole")
    write_json(json_file, {"command": "scenarios", "rows": rows})


@app.command()
def describe(
    scenario: ScenarioName = "quick",
    contention: Contention = None,
    overrides: Overrides = None,
    json_file: JsonFile = None,
) -> None:
    """Show a scenario: its fleet and models, its capacity and the load that is offered.

    Example: maestro-gym describe --scenario paper --contention high

    Example: maestro-gym describe workload.load=0.95
    """
    from maestro_gym.listings import scenario_tables

    tables = scenario_tables(scenario, _overrides(overrides, contention))
    for title, rows in tables.items():
        show_table(title, rows)
    write_json(json_file, {"command": "describe", **tables})


@app.command()
def metrics(json_file: JsonFile = None) -> None:
    """List the metrics of a comparison, with units and formulas.

    Example: maestro-gym metrics --json metrics.json
    """
    from maestro_gym.listings import metric_rows

    rows = metric_rows()
    show_table("metrics", rows, "per_class: also given for interactive and batch workflows alone")
    write_json(json_file, {"command": "metrics", "rows": rows})


@app.command()
def doctor(json_file: JsonFile = None) -> None:
    """Print versions, cores, threading and caches, and run a self-test of the engine.

    Exits with code 1 when a check fails.

    Example: maestro-gym doctor --json doctor.json
    """
    from maestro_gym.doctor import examine

    rows = examine()
    show_table("maestro-gym doctor", rows)
    write_json(json_file, {"command": "doctor", "rows": rows})
    if any(row["state"] == "failed" for row in rows):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; the entry point of the ``maestro-gym`` script."""
    app()


if __name__ == "__main__":
    main()
