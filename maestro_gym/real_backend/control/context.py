"""What all parts of a live run share: its clock, fleet state, log and servers, and tasks that may not fail unseen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from maestro_gym.real_backend.control.event_log import EventLog
from maestro_gym.real_backend.control.settings import RunSettings
from maestro_gym.real_backend.control.state import FleetState
from maestro_gym.real_backend.vllm.server import Server
from maestro_gym.state import Episode


@dataclass(eq=False)
class LiveContext:
    """One live run that is under way.

    Attributes:
        settings: What the run was asked to do.
        episode: The workflows that arrive.
        fleet_state: The scheduler's state of the fleet.
        log: The event log.
        servers: All servers of the fleet.
        run_id: A part of the id of every request.
        restarts: The number of controllers that died on this run before.
        began_s: The monotonic clock at the run's time ``offset_s``.
        offset_s: The run's time at which this controller took the run over.
        arrived: The number of workflows whose arrival is in the log.
        wake: Set when something happened that a decision may follow from.
        fatal: The error that ended a task which must not end.
    """

    settings: RunSettings
    episode: Episode
    fleet_state: FleetState
    log: EventLog
    servers: list[Server]
    run_id: str
    restarts: int = 0
    offset_s: float = 0.0
    began_s: float = field(default_factory=time.monotonic)
    arrived: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    fatal: BaseException | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Index the servers by node and model."""
        self._by_place = {(server.node, server.model): server for server in self.servers}

    @property
    def now_s(self) -> float:
        """Time since the run began, by the monotonic clock [s]."""
        return time.monotonic() - self.began_s + self.offset_s

    def server(self, node: int, model: int) -> Server:
        """Return the server of a model on a node."""
        return self._by_place[node, model]

    def advance(self) -> None:
        """Advance the fleet state to the present, and log the arrivals on the way."""
        self.fleet_state.advance(self.now_s)
        arrived = int(self.fleet_state.core.env["arrival_next"][0])
        for workflow in range(self.arrived, arrived):
            arrival_s = float(self.episode.workflows["arrival_s"][workflow])
            self.log.write("arrive", self.fleet_state.now_s, workflow=workflow, arrival_s=arrival_s)
        self.arrived = arrived

    def spawn(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Start a task; an error that nobody foresaw in it ends the run, instead of passing unseen.

        Args:
            work: The work of the task, called when the task begins, and never if the task is cancelled before.
        """

        async def guarded() -> None:
            try:
                await work()
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                self.fatal = self.fatal or error
                self.wake.set()

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def cancel_all(self) -> None:
        """Cancel every task, and wait until all have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
