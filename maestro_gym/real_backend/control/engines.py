"""The servers during a live run: their residency follows the fleet state, and the fleet state follows their health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from maestro_gym.real_backend.control import moves
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
    """The residency and the health of the servers of a live run.

    Attributes:
        kv_excess_bytes: By how much an engine's own KV gauge was above the reservations, one number per scrape.
    """

    def __init__(self, run: LiveContext, traffic: Traffic, launcher: Launcher | None) -> None:
        """Prepare; no server is touched yet.

        Args:
            run: The run.
            traffic: The requests of the run.
            launcher: Starts processes of servers; None when no engine's residency needs it.
        """
        self.kv_excess_bytes: list[float] = []
        self._run, self._fleet_state, self._traffic, self._launcher = run, run.fleet_state, traffic, launcher
        self._operations: dict[int, asyncio.Task[None]] = {}
        self._fixed = [(s.node, s.model) for s in run.servers if s.engine.residency == "always"]
        traffic.on_lost = self._go_down

    # --- residency -----------------------------------------------------------------------------

    def keep_still(self) -> None:
        """Make promotion and demotion illegal for engines whose residency the fleet file fixes."""
        self._fleet_state.keep_still(self._fixed)

    def follow(self, node: int, before: dict[int, int]) -> None:
        """Promote and demote the servers of a node as a decision changed its engines in the fleet state.

        Args:
            node: The node of the decision.
            before: The status of the node's engines before the decision, by model.
        """
        after = self._fleet_state.statuses(node)
        changes = [(m, before.get(m, ENGINE_FREE), after.get(m, ENGINE_FREE)) for m in {*before, *after}]
        # Demotions go first, because the promoted engine needs the memory that they free.
        for model, old, new in sorted(changes, key=lambda change: change[2] == ENGINE_LOADING):
            if old == new:
                continue
            server = self._run.server(node, model)
            if new == ENGINE_LOADING:
                self._operate(server, "promote", self._promote)
            elif old == ENGINE_AWAKE:
                if server.engine.residency == "process" and new == ENGINE_ASLEEP:
                    # A server without sleep mode can only be demoted by ending its process.
                    moves.drop_engine(self._fleet_state.engine, node, model)
                self._operate(server, "demote", self._demote)

    def _operate(self, server: Server, name: str, work: Callable[[Server], Awaitable[None]]) -> None:
        """Queue a change of residency behind those that are still under way on its node."""
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
            await self._launcher.wait_ready(note)
            server.client.breaker.succeeded()
        else:
            await server.client.wake()
        if not server.can.token_ids:
            server.can = await probe(server.client)
        server.up = True
        self._run.advance()
        if moves.end_load(self._fleet_state.engine, server.node, server.model):
            take_pool(self._fleet_state, server)

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
        """Scrape every server at a fixed interval, and notice when it goes down and when it comes back."""
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
        """Write a scrape into the view, and compare the reservations with the engine's own number."""
        gauges = server.gauges
        slot = int(self._fleet_state.view.slot_of[0, server.node, server.model])
        if slot < 0 or not self._fleet_state.awake(server.node, server.model):
            return
        engine = self._fleet_state.view.engines[0, server.node, slot]
        if server.metrics_lost or gauges is None or gauges.kv_usage is None or not server.can.kv_tokens:
            self._fleet_state.set_used(server.node, server.model, float(engine["kv_reserved_bytes"]))
            return
        unit = float(self._fleet_state.simulation.world.perf["kv_bytes_per_token"][server.node, server.model])
        used = gauges.kv_usage * server.can.kv_tokens * unit
        self._traffic.show_progress()
        self.kv_excess_bytes.append(used - float(engine["kv_reserved_bytes"]))
        self._fleet_state.set_used(server.node, server.model, used)

    def _go_down(self, server: Server, why: str) -> None:
        """Take a lost server out: its stages go back to the queue, and none is sent there until it answers again."""
        if not server.up:
            return
        server.up = False
        server.hold_off()
        server.client.breaker.trip()
        self._run.advance()
        self._run.log.write("down", self._fleet_state.now_s, server=server.words, why=why[:300])
        self._traffic.take_back(server)
        moves.drop_engine(self._fleet_state.engine, server.node, server.model)
        if server.engine.residency == "process":
            # A rule that wants the model here promotes it again, which starts a process.
            server.up, server.wanted = True, False
        else:
            self._fleet_state.mark_down(server.node, server.model)
        self._run.wake.set()

    def _come_back(self, server: Server) -> None:
        server.up = True
        server.client.breaker.succeeded()
        self._run.advance()
        self._fleet_state.mark_up(server.node, server.model)
        revived = moves.revive_engine(self._fleet_state.engine, server.node, server.model)
        if revived:
            take_pool(self._fleet_state, server)
        self._run.log.write("up", self._fleet_state.now_s, server=server.words, running=revived)
        if not revived and server.can.sleep:
            self._operate(server, "demote", self._demote)
        self._run.wake.set()
