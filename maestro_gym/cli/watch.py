"""The verb that plays an episode back on a local page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maestro_gym.cli.console import dotted_overrides, output, split_words
from maestro_gym.cli.fleet import FleetName
from maestro_gym.cli.loading import runner_for
from maestro_gym.cli.options import CONTENTION_HELP, Overrides, Trust
from maestro_gym.core.errors import MaestroError

if TYPE_CHECKING:
    from maestro_gym.evaluation.report.episode_trace import Trace

_SIMULATED = ("maestro", "fcfs")
"""The policies that are simulated unless told otherwise."""


def watch(
    overrides: Overrides = None,
    scenario: Annotated[
        str | None,
        typer.Option("--scenario", "-s", help="The name or the YAML file of a scenario.", show_default="quick"),
    ] = None,
    contention: Annotated[
        str | None,
        typer.Option(
            "--contention",
            "-c",
            help=CONTENTION_HELP,
            show_default="the scenario's; of a comparison the hardest",
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            "-p",
            help="One policy, or two to see side by side, as `compare` takes them; with --run of a comparison, names "
            "in its tables.",
            show_default="maestro,fcfs; of a comparison its reference and the best",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of the episode.")] = 0,
    split: Annotated[
        str, typer.Option("--split", help="The split of the episode: train, validation or test.")
    ] = "test",
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="DIR",
            help="The folder of a comparison, whose episodes of the first seed are shown and not simulated again, or "
            "of a live run, which may still go on.",
        ),
    ] = None,
    fleet: FleetName = "local_cpu",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port on 127.0.0.1; 0: any that is free.")
    ] = 0,
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in this machine's browser.")] = False,
    video: Annotated[
        Path | None,
        typer.Option("--video", metavar="FILE", help="Save the episode as .mp4, .webm or .gif, and end."),
    ] = None,
    video_s: Annotated[float, typer.Option("--video-seconds", min=1.0, help="How long the video is [s].")] = 20.0,
    trust: Trust = False,
) -> None:
    """Play an episode on a local page: nodes, engines, batches, KV memory, queues, deadlines at risk, decisions.

    The page plays, steps from decision to decision, and jumps to the next missed deadline. It is served on 127.0.0.1
    until this verb is stopped, and loads nothing from elsewhere. --run follows a live run while it goes on.

    Example: maestro-gym watch -p maestro,edf -c high

    Example: maestro-gym watch --run runs/compare/MY_RUN -p maestro,searched

    Example: maestro-gym watch --run runs/live/MY_RUN --fleet local_cpu

    Example: maestro-gym watch -p maestro,fcfs --video episode.mp4
    """
    from maestro_gym.evaluation.watch.film import demand_film, film
    from maestro_gym.evaluation.watch.server import serve

    if video is not None:
        demand_film(video)
    words, specs = dotted_overrides(overrides), split_words(policy)
    if run is not None and words:
        raise MaestroError(f"{words[0]}: has no meaning beside --run, whose episodes are there already; leave it out.")
    if run is None:
        document = _simulated(
            scenario or "quick", contention, words, specs or list(_SIMULATED), split, seed, trust=trust
        )
    elif (run / "events.jsonl").exists():
        document = _live(run, fleet, scenario)
    else:
        document = _kept(run, specs, scenario, contention)
    document()  # a mistake is told here, and not on the page
    console = output()
    with serve(document, port) as address:
        if video is not None:
            console.print(f"Video:   {film(address, video, seconds=video_s)}", highlight=False, soft_wrap=True)
            return
        console.print(f"Watch:   {address}\nStop it by Ctrl-C.", highlight=False, soft_wrap=True)
        if browser:
            typer.launch(address)
        threading.Event().wait()


_Document = Callable[[], dict[str, Any]]


def _fixed(traces: list[Trace]) -> _Document:
    from maestro_gym.evaluation.watch.document import watch_document

    told = watch_document(traces)
    return lambda: told


def _simulated(
    scenario: str, contention: str | None, words: list[str], specs: list[str], split: str, seed: int, *, trust: bool
) -> _Document:
    from maestro_gym.evaluation.watch.episodes import simulated

    changes = [f"contention={contention}"] if contention else []
    runner = runner_for(specs, trust=trust)
    return _fixed(simulated(scenario, specs, overrides=[*changes, *words], split=split, seed=seed, runner=runner))


def _kept(run: Path, specs: list[str], scenario: str | None, contention: str | None) -> _Document:
    from maestro_gym.evaluation.watch.episodes import kept

    return _fixed(kept(run, specs, scenario, contention))


def _live(run: Path, fleet: str, scenario: str | None) -> _Document:
    from maestro_gym.config.live import load_fleet
    from maestro_gym.episodes.scenario import Scenario
    from maestro_gym.evaluation.watch.document import watch_document
    from maestro_gym.real_backend.control.event_log import EVENTS_FILE
    from maestro_gym.real_backend.validation.logged_trace import has_ended, trace_of_log
    from maestro_gym.real_backend.validation.replay_run import scenario_of_run

    servers = load_fleet(fleet)
    world = Scenario.load(scenario or str(scenario_of_run(run)))
    last: dict[int, dict[str, Any]] = {}

    def document() -> dict[str, Any]:
        size = (run / EVENTS_FILE).stat().st_size
        if size not in last:
            following = not has_ended(run)
            told = watch_document([trace_of_log(run, servers, world)], following=following)
            last.clear()
            last[size] = told
        return last[size]

    return document


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command()(watch)
