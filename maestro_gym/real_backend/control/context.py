"""What all parts of a live run share: its clock, books, log and servers, and tasks that may not end unseen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from maestro_gym.real_backend.control.event_log import EventLog
from maestro_gym.real_backend.control.settings import RunSettings
from maestro_gym.real_backend.control.state import Books
from maestro_gym.real_backend.vllm.server import Server
from maestro_gym.state import Episode


@dataclass(eq=False)
class LiveContext:
    """One live run under way.

    Attributes:
        settings: What was asked for.
        episode: What arrives.
        books: The accounts.
        log: The event log.
        servers: All of the fleet.
        run_id: Part of every request's id.
        restarts: How many controllers died on this run before.
        began_s: Monotonic clock at the run's time ``offset_s``.
        offset_s: Time of the run at which this controller took it over.
        wake: Set when something happened that a decision may follow from.
        fatal: What ended a task that must not end.
    """

    settings: RunSettings
    episode: Episode
    books: Books
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
        """Index the servers by place."""
        self._by_place = {(server.node, server.model): server for server in self.servers}

    @property
    def now_s(self) -> float:
        """Seconds since the run began, by the monotonic clock."""
        return time.monotonic() - self.began_s + self.offset_s

    def server(self, node: int, model: int) -> Server:
        """The server of a model on a node."""
        return self._by_place[node, model]

    def advance(self) -> None:
        """Bring the books up to now."""
        self.books.advance(self.now_s)
        arrived = int(self.books.core.env["arrival_next"][0])
        for workflow in range(self.arrived, arrived):
            arrival_s = float(self.episode.workflows["arrival_s"][workflow])
            self.log.write("arrive", self.books.now_s, workflow=workflow, arrival_s=arrival_s)
        self.arrived = arrived

    def spawn(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Start a task whose unforeseen end ends the run, instead of passing unseen.

        Args:
            work: Is called when the task begins, and never when it is cancelled before.
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
        """End every task."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
