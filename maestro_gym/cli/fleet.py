"""The verbs about the servers of a fleet: start, watch and stop them, and measure them for ``calibrate --fleet``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import output, show_table, write_json
from maestro_gym.cli.options import JsonFile, Trust

FleetName = Annotated[str, typer.Option("--fleet", "-f", help="A name in configs/live, or the path of a YAML file.")]

fleet_app = typer.Typer(
    name="fleet", no_args_is_help=True, help="Start, watch and stop the vLLM servers of a fleet file."
)


@fleet_app.command("up")
def fleet_up(fleet: FleetName = "local_cpu", trust: Trust = False, json_file: JsonFile = None) -> None:
    """Start the servers of a fleet and wait until they answer.

    The first time, vLLM is installed into an environment of its own. The logs stay in runs/fleets/NAME/logs.

    Example: maestro-gym fleet up

    Example: maestro-gym fleet up --fleet my_fleet.yaml
    """
    from maestro_gym.config.live import load_fleet
    from maestro_gym.real_backend.fleet.launch_trust import demand_launch_trust
    from maestro_gym.real_backend.fleet.local import bring_up
    from maestro_gym.real_backend.fleet.status import fleet_rows

    loaded = load_fleet(fleet)
    demand_launch_trust(loaded, fleet, trust=trust)
    console = output()
    bring_up(loaded, lambda line: console.print(line, style="dim", highlight=False, soft_wrap=True), trust=trust)
    rows = fleet_rows(loaded, probing=True)
    show_table(f"fleet {loaded.name}", rows)
    write_json(json_file, {"command": "fleet up", "rows": rows})


@fleet_app.command("status")
def fleet_status(
    fleet: FleetName = "local_cpu",
    probe: Annotated[bool, typer.Option("--probe/--no-probe", help="Find out what each server can do.")] = False,
    watch: Annotated[
        float | None,
        typer.Option("--watch", min=0.2, metavar="SECONDS", help="Repeat at this interval until Ctrl-C."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Show every server with its residency, its requests, its KV memory and its version.

    Example: maestro-gym fleet status --probe

    Example: maestro-gym fleet status --watch 2
    """
    from maestro_gym.config.live import load_fleet
    from maestro_gym.real_backend.fleet.status import fleet_rows

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
    """Stop the servers that `fleet up` started; nothing stays behind but the logs.

    Example: maestro-gym fleet down
    """
    from maestro_gym.config.live import load_fleet
    from maestro_gym.real_backend.fleet.local import bring_down

    console = output()
    count = bring_down(load_fleet(fleet), lambda line: console.print(line, style="dim", highlight=False))
    console.print(f"{count} stopped" if count else "nothing was running")


def calibrate_fleet(fleet: str, out: Path | None, repeats: int, json_file: Path | None) -> None:
    """Measure the servers of a fleet, fit the hardware to the measurements, and write and show both.

    Args:
        fleet: The name or the file of the fleet.
        out: The hardware file to write; None writes into the folder of the fleet.
        repeats: The number of repetitions of each point.
        json_file: The file that also gets what is printed.
    """
    from dataclasses import asdict

    from maestro_gym.config.live import load_fleet
    from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario
    from maestro_gym.real_backend.fleet.processes import fleet_folder
    from maestro_gym.real_backend.validation.calibrate_fleet import fit_hardware, point_rows, write_hardware
    from maestro_gym.real_backend.validation.measure_servers import measure_fleet

    loaded = load_fleet(fleet)
    console = output()
    config = write_scenario(scenario_document(loaded), fleet_folder(loaded) / "scenario.yaml")
    measured = measure_fleet(loaded, config, repeats, lambda line: console.print(line, style="dim"))
    fitted = fit_hardware(config, measured)
    path = out or fleet_folder(loaded) / "hardware.yaml"
    write_hardware(fitted, path)
    rows = point_rows(fitted)
    show_table(f"fleet {loaded.name}: measured and fitted", rows, "spread: half the quartiles' distance")
    facts = {
        "api_s": measured.api_s,
        "kv_tokens": measured.kv_tokens,
        "wake_s": measured.wake_s,
        "load_s": measured.load_s,
        "sharing": measured.sharing,
        "seconds": measured.seconds,
    }
    show_table("beside the step times", [{"measured": name, "value": str(value)} for name, value in facts.items()])
    console.print(f"Hardware: {path}", highlight=False, soft_wrap=True)
    points = [asdict(point) for point in measured.points]
    write_json(json_file, {"command": "calibrate", "rows": rows, "points": points, **facts})
