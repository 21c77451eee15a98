"""A fleet on this machine, brought up and down: its vLLM environment, its models, and servers that answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from maestro_gym.config import ScenarioConfig
from maestro_gym.config.live import LiveEngineConfig, LiveFleetConfig, LiveNodeConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.file_names import file_name
from maestro_gym.real_backend.fleet.as_scenario import launch_words, scenario_document, write_scenario
from maestro_gym.real_backend.fleet.launch_trust import demand_launch_trust
from maestro_gym.real_backend.fleet.processes import (
    ServerNote,
    fleet_folder,
    forget_note,
    last_lines,
    read_notes,
    start_server,
    stop_server,
    write_note,
)
from maestro_gym.real_backend.fleet.tiny_model import write_tiny_model
from maestro_gym.real_backend.fleet.vllm_venv import vllm_program

Tell = Callable[[str], None]
_POLL_S = 0.25
_ANSWER_S = 2.0


@dataclass(frozen=True)
class Launcher:
    """What is needed to start any server of a fleet.

    Attributes:
        fleet: The fleet file.
        config: The fleet as a scenario.
        program: The first words of every command.
        folder: The folder of models, logs and notes.
    """

    fleet: LiveFleetConfig
    config: ScenarioConfig
    program: list[str]
    folder: Path

    def start(self, node: LiveNodeConfig, engine: LiveEngineConfig) -> ServerNote:
        """Start a server, without waiting until it is ready.

        Args:
            node: The node that it runs on.
            engine: The server.

        Returns:
            The note of its process.
        """
        weights = next(model.weights for model in self.fleet.models if model.name == engine.model)
        if weights == "random":
            weights = str((self.folder / "models" / file_name(engine.model)).absolute())
        env = dict(self.fleet.launch.env)
        if node.devices:
            env["CUDA_VISIBLE_DEVICES"] = node.devices
        return start_server(
            self.folder,
            url=engine.url,
            node=node.name,
            model=engine.model,
            command=[*self.program, *launch_words(self.fleet, self.config, node, engine, weights)],
            env=env,
            cores=node.cores,
        )

    async def wait_ready(self, note: ServerNote, tell: Tell | None = None) -> ServerNote:
        """Wait until a server answers.

        Args:
            note: The note of its process.
            tell: Called with a line of progress now and then.

        Returns:
            The note, with the seconds that the server took to answer.

        Raises:
            MaestroError: The server ended or took too long; the message holds the last errors of its log.
        """
        begin = time.monotonic()
        said = begin
        while not await _healthy(note.url):
            now = time.monotonic()
            if not note.alive:
                forget_note(self.folder, note.url)
                raise MaestroError(
                    f"{note.node}: the server of {note.model} ended while it started: {last_lines(note)} "
                    f"The whole log: {note.log}. Mend `launch` or `limits` of the fleet file."
                )
            if now - begin > self.fleet.launch.ready_s:
                raise MaestroError(
                    f"{note.node}: the server of {note.model} did not answer within {self.fleet.launch.ready_s:g} s "
                    f"(launch.ready_s). Its log: {note.log}."
                )
            if tell is not None and now - said > 10.0:
                said = now
                tell(f"{note.node}: {note.model} is starting, {now - begin:.0f} s")
            await asyncio.sleep(_POLL_S)
        if note.ready_after_s is None:
            note = replace(note, ready_after_s=time.time() - note.started_unix_s)
            write_note(self.folder, note)
        return note


def make_launcher(fleet: LiveFleetConfig, tell: Tell, *, trust: bool = False) -> Launcher:
    """Prepare what the start of a server needs: the environment of vLLM, and the folders of random models.

    Args:
        fleet: The fleet file.
        tell: Called with a line before anything that takes long.
        trust: Whether what the fleet file would start may be something else than plain vLLM.

    Returns:
        The launcher.

    Raises:
        MaestroError: The fleet is not trusted or does not make a scenario, or vLLM cannot be installed.
    """
    # Every door to a server's start leads through here.
    demand_launch_trust(fleet, f"fleet {fleet.name}", trust=trust)
    folder = fleet_folder(fleet)
    config = write_scenario(scenario_document(fleet), folder / "scenario.yaml")
    program = vllm_program(fleet.launch, tell)
    for model in fleet.models:
        if model.weights == "random":
            write_tiny_model(folder / "models" / file_name(model.name), config.architectures[model.architecture])
    return Launcher(fleet, config, program, folder)


def bring_up(fleet: LiveFleetConfig, tell: Tell, *, trust: bool = False) -> list[ServerNote]:
    """Start every server that the fleet file launches and that is to be awake at the beginning, and wait for them.

    Servers that run already are left as they are. When one fails, those that were started here are stopped again.

    Args:
        fleet: The fleet file.
        tell: Called with lines of progress.
        trust: Whether what the fleet file would start may be something else than plain vLLM.

    Returns:
        The notes of the running servers.

    Raises:
        MaestroError: The fleet is not trusted, a server did not come up, or another program answers at its address.
    """
    launcher = make_launcher(fleet, tell, trust=trust)
    notes = read_notes(launcher.folder)
    started: list[ServerNote] = []
    running: list[ServerNote] = []
    try:
        for node in fleet.nodes:
            for engine in node.engines:
                # An engine that sleeps has a process; one that is demoted to no process starts when it is promoted.
                if not engine.launch or (engine.residency == "process" and not engine.awake):
                    continue
                note = notes.get(engine.url)
                if note is not None and note.alive:
                    tell(f"{node.name}: {engine.model} runs already, pid {note.pid}")
                    running.append(note)
                    continue
                if asyncio.run(_healthy(engine.url)):
                    raise MaestroError(
                        f"{engine.url} is answered by a server that this fleet did not start. Stop it, give the engine "
                        "another port, or write `launch: false`."
                    )
                note = launcher.start(node, engine)
                tell(f"{node.name}: starting {engine.model} at {engine.url}, pid {note.pid}, log {note.log}")
                started.append(note)
        ready = [asyncio.run(launcher.wait_ready(note, tell)) for note in [*running, *started]]
    except BaseException:
        for note in started:
            stop_server(launcher.folder, note)
        raise
    for note in ready:
        tell(f"{note.node}: {note.model} is ready, it took {note.ready_after_s:.0f} s to start")
    return ready


def bring_down(fleet: LiveFleetConfig, tell: Tell) -> int:
    """Stop every server that was started for a fleet.

    Args:
        fleet: The fleet file.
        tell: Called with one line per server.

    Returns:
        The number of servers that were stopped.
    """
    folder = fleet_folder(fleet)
    count = 0
    for note in read_notes(folder).values():
        was_alive = note.alive
        gently = stop_server(folder, note)
        count += was_alive
        ended = "stopped" if gently else "killed"
        tell(f"{note.node}: {note.model} {ended if was_alive else 'had ended already'}")
    return count


async def _healthy(url: str) -> bool:
    try:
        async with (
            asyncio.timeout(_ANSWER_S),
            httpx.AsyncClient(trust_env=False) as client,
            client.stream("GET", f"{url}/health") as response,
        ):
            return response.status_code == 200
    except (httpx.HTTPError, TimeoutError):
        return False
