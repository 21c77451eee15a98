"""Servers during a live run: their residency follows the books, and the books follow what becomes of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from maestro_gym.real_backend.control import moves as ledger
from maestro_gym.real_backend.control.context import LiveContext
from maestro_gym.real_backend.control.opening import take_pool
from maestro_gym.real_backend.control.requests import Traffic
from maestro_gym.real_backend.fleet.local import Launcher
from maestro_gym.real_backend.fleet.processes import read_notes, stop_server
from maestro_gym.real_backend.vllm.capabilities import probe
from maestro_gym.real_backend.vllm.node_error import NodeError
from maestro_gym.real_backend.vllm.server import Server
from maestro_gym.state import ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_FREE, ENGINE_LOADING


class Engines:
    """The servers of a live run.

    Attributes:
        kv_excess_bytes: By how much the engines' gauges were above the books, a number a scrape.
    """

    def __init__(self, run: LiveContext, traffic: Traffic, launcher: Launcher | None) -> None:
        """Prepare.

        Args:
            run: The run.
            traffic: Its requests.
            launcher: Starts processes; None where no engine's residency needs it.
        """
        self.kv_excess_bytes: list[float] = []
        self._run, self._books, self._traffic, self._launcher = run, run.books, traffic, launcher
        self._operations: dict[int, asyncio.Task[None]] = {}
        self._fixed = [(s.node, s.model) for s in run.servers if s.engine.residency == "always"]
        traffic.on_lost = self._go_down

    # --- residency -----------------------------------------------------------------------------

    def keep_still(self) -> None:
        """Mask promotion and demotion of engines that the fleet file lets nobody move."""
        self._books.keep_still(self._fixed)

    def follow(self, node: int, before: dict[int, int]) -> None:
        """Do to the servers of a node what its engines did in the books.

        Args:
            node: Where.
            before: Status of its engines before the decision, by model.
        """
        after = self._books.statuses(node)
        changes = [(m, before.get(m, ENGINE_FREE), after.get(m, ENGINE_FREE)) for m in {*before, *after}]
        # What gives way goes first: the promoted engine needs its memory.
        for model, old, new in sorted(changes, key=lambda change: change[2] == ENGINE_LOADING):
            if old == new:
                continue
            server = self._run.server(node, model)
            if new == ENGINE_LOADING:
                self._operate(server, "promote", self._promote)
            elif old == ENGINE_AWAKE:
                if server.engine.residency == "process" and new == ENGINE_ASLEEP:
                    # A process cannot sleep: ending it is its only demotion.
                    ledger.drop_engine(self._books.engine, node, model)
                self._operate(server, "demote", self._demote)

    def _operate(self, server: Server, name: str, work: Callable[[Server], Awaitable[None]]) -> None:
        """Queue a change of residency behind those that its node still has under way."""
        earlier = self._operations.get(server.node)
        log = self._run.log

        async def chain() -> None:
            if earlier is not None:
                await asyncio.wait({earlier})
            began = time.monotonic()
            log.write(name, self._run.now_s, server=server.words)
            try:
                await work(server)
            except NodeError as error:
                log.write("fault", self._run.now_s, server=server.words, during=name, error=str(error))
                self._go_down(server, str(error))
            else:
                seconds = round(time.monotonic() - began, 4)
                log.write(f"{name}d", self._run.now_s, server=server.words, seconds=seconds)
            self._run.wake.set()

        self._operations[server.node] = self._run.spawn(chain)

    async def _promote(self, server: Server) -> None:
        server.wanted = True
        if server.engine.residency == "process" and self._launcher is not None:
            place = self._run.settings.fleet.nodes[server.node]
            note = await asyncio.to_thread(self._launcher.start, place, server.engine)
            await asyncio.to_thread(self._launcher.wait_ready, note)
            server.client.breaker.succeeded()
        else:
            await server.client.wake()
        if not server.can.token_ids:
            server.can = await probe(server.client)
        server.up = True
        self._run.advance()
        if ledger.end_load(self._books.engine, server.node, server.model):
            take_pool(self._books, server)

    async def _demote(self, server: Server) -> None:
        if server.engine.residency == "process" and self._launcher is not None:
            server.wanted = False
            note = read_notes(self._launcher.folder).get(server.engine.url)
            if note is not None:
                await asyncio.to_thread(stop_server, self._launcher.folder, note)
        else:
            await server.client.sleep()

    # --- health --------------------------------------------------------------------------------

    def watch_all(self) -> None:
        """Scrape every server again and again; see it go down and come back."""
        for server in self._run.servers:
            self._run.spawn(lambda server=server: self._watch(server))

    async def _watch(self, server: Server) -> None:
        while True:
            await asyncio.sleep(self._run.settings.fleet.client.scrape_s)
            if not server.wanted:
                continue
            lost = server.metrics_lost
            try:
                await server.look()
            except NodeError as error:
                if error.counts:
                    server.note_fault(error)
                    server.client.breaker.failed()
                if server.client.breaker.is_open:
                    self._go_down(server, str(error))
                continue
            if server.metrics_lost and not lost:
                self._run.log.write("metrics_lost", self._run.now_s, server=server.words)
            self._note_gauges(server)
            if not server.up:
                self._come_back(server)
            elif not self._traffic.attempts:
                server.client.breaker.succeeded()

    def _note_gauges(self, server: Server) -> None:
        """Write a scrape into the view, and hold the books' reservation against the engine's own number."""
        gauges = server.gauges
        slot = int(self._books.view.slot_of[0, server.node, server.model])
        if slot < 0 or not self._books.awake(server.node, server.model):
            return
        engine = self._books.view.engines[0, server.node, slot]
        if server.metrics_lost or gauges is None or gauges.kv_usage is None or not server.can.kv_tokens:
            self._books.set_used(server.node, server.model, float(engine["kv_reserved_bytes"]))
            return
        unit = float(self._books.simulation.world.perf["kv_bytes_per_token"][server.node, server.model])
        used = gauges.kv_usage * server.can.kv_tokens * unit
        self._traffic.show_progress()
        self.kv_excess_bytes.append(used - float(engine["kv_reserved_bytes"]))
        self._books.set_used(server.node, server.model, used)

    def _go_down(self, server: Server, why: str) -> None:
        """A server is lost: its stages go back to the queue, and none is sent there until it is well again."""
        if not server.up:
            return
        server.up = False
        server.hold_off()
        server.client.breaker.trip()
        self._run.advance()
        self._run.log.write("down", self._books.now_s, server=server.words, why=why[:300])
        self._traffic.take_back(server)
        ledger.drop_engine(self._books.engine, server.node, server.model)
        if server.engine.residency == "process":
            # Whoever wants the model promotes it again, which starts a process.
            server.up, server.wanted = True, False
        else:
            self._books.mark_down(server.node, server.model)
        self._run.wake.set()

    def _come_back(self, server: Server) -> None:
        server.up = True
        server.client.breaker.succeeded()
        self._run.advance()
        self._books.mark_up(server.node, server.model)
        revived = ledger.revive_engine(self._books.engine, server.node, server.model)
        if revived:
            take_pool(self._books, server)
        self._run.log.write("up", self._books.now_s, server=server.words, running=revived)
        if not revived and server.can.sleep:
            self._operate(server, "demote", self._demote)
        self._run.wake.set()
