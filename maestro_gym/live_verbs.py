"""The verbs of the command line that have to do with real servers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.console import output, show_table, write_json

FleetName = Annotated[str, typer.Option("--fleet", "-f", help="Name in configs/live, or the path of a YAML file.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write what is printed as JSON, same names.")
]

fleet_app = typer.Typer(no_args_is_help=True, help="Start, watch and stop the vLLM servers of a fleet file.")


@fleet_app.command("up")
def fleet_up(fleet: FleetName = "local_cpu", json_file: JsonFile = None) -> None:
    """Start the servers of a fleet and wait until they answer.

    The first time vLLM is installed into an environment of its own. Logs stay in runs/fleets/NAME/logs.

    Example: maestro-gym fleet up

    Example: maestro-gym fleet up --fleet my_fleet.yaml
    """
    from maestro_gym.config.live import load_fleet
    from maestro_gym.real_backend.fleet import bring_up
    from maestro_gym.real_backend.status import fleet_rows

    loaded = load_fleet(fleet)
    console = output()
    bring_up(loaded, lambda line: console.print(line, style="dim", highlight=False, soft_wrap=True))
    rows = fleet_rows(loaded, probing=True)
    show_table(f"fleet {loaded.name}", rows)
    write_json(json_file, {"command": "fleet up", "rows": rows})


@fleet_app.command("status")
def fleet_status(
    fleet: FleetName = "local_cpu",
    probe: Annotated[bool, typer.Option("--probe/--no-probe", help="Ask what each server can do.")] = False,
    watch: Annotated[
        float | None, typer.Option("--watch", min=0.2, metavar="SECONDS", help="Repeat until Ctrl-C.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Show every server: residency, requests, KV, version.

    Example: maestro-gym fleet status --probe

    Example: maestro-gym fleet status --watch 2
    """
    from maestro_gym.config.live import load_fleet
    from maestro_gym.real_backend.status import fleet_rows

    loaded = load_fleet(fleet)
    while True:
        rows = fleet_rows(loaded, probing=probe)
        if watch is not None:
            output().clear()
        show_table(f"fleet {loaded.name}, {time.strftime('%H:%M:%S')}", rows)
        write_json(json_file, {"command": "fleet status", "rows": rows})
        if watch is None:
            return
        time.sleep(watch)


@fleet_app.command("down")
def fleet_down(fleet: FleetName = "local_cpu") -> None:
    """Stop the servers that `fleet up` started; nothing stays behind but logs.

    Example: maestro-gym fleet down
    """
    from maestro_gym.config.live import load_fleet
    from maestro_gym.real_backend.fleet import bring_down

    console = output()
    count = bring_down(load_fleet(fleet), lambda line: console.print(line, style="dim", highlight=False))
    console.print(f"{count} stopped" if count else "nothing was running")


def register(app: typer.Typer) -> None:
    """Add the verbs to the program."""
    app.add_typer(fleet_app, name="fleet")
