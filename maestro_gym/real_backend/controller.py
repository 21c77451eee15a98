"""The live control loop: the same policies, the same decisions at the same boundaries, carried out on real servers.

Time is the run's own clock (real seconds since its start). Everything happens in one thread: servers' answers move the
books (`ledger`), the books ask the policy, and what the books then say is carried out: a stage that became running is
sent, one that was paused is cut, an engine that was promoted or demoted is woken, started, put to sleep or stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from maestro_gym.baselines.registry import load_policy
from maestro_gym.policy import Policy
from maestro_gym.real_backend import ledger
from maestro_gym.real_backend.attempt import Attempt
from maestro_gym.real_backend.books import Books
from maestro_gym.real_backend.capabilities import probe
from maestro_gym.real_backend.client import Answer, NodeClient, Request
from maestro_gym.real_backend.event_log import EventLog, read_events
from maestro_gym.real_backend.fields import check_policy, field_sources
from maestro_gym.real_backend.fleet import Launcher, make_launcher
from maestro_gym.real_backend.node_error import Fault, NodeError
from maestro_gym.real_backend.opening import catch_up, check_pool, meet
from maestro_gym.real_backend.prompts import Prompts
from maestro_gym.real_backend.run_settings import RunSettings
from maestro_gym.real_backend.server import Server
from maestro_gym.real_backend.servers import read_notes, stop_server
from maestro_gym.schema import (
    DONE_DRAINED,
    DONE_TIME,
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_FREE,
    ENGINE_LOADING,
    NO_TIER,
    TIER_NAMES,
    TIER_NODE,
)

TICK_S = 0.05
"""Longest that streamed tokens wait before they are in the books while anything runs."""

IDLE_S = 0.5
_EXACT_S = 0.0005
FALLBACK_POLICY = "fcfs"


class Controller:
    """One live run of one policy.

    Attributes:
        books: The accounts, after `run`.
        servers: The servers, after `run`.
        finishes: How often each stage was delivered: the proof that none was lost or done twice.
        kv_excess_bytes: By how much the engines' gauges were above the books, a number a scrape.
    """

    def __init__(self, settings: RunSettings, policy: Policy) -> None:
        """Prepare; nothing is sent yet.

        Args:
            settings: The run.
            policy: Who decides.
        """
        self.settings, self.policy = settings, policy
        self.episode = settings.scenario.episode(settings.split, settings.seed, settings.index)
        self.servers: list[Server] = []
        self.finishes: dict[int, int] = {}
        self.kv_excess_bytes: list[float] = []
        self._by_place: dict[tuple[int, int], Server] = {}
        self._attempts: dict[int, Attempt] = {}
        self._sent: dict[int, int] = {}
        self._num_sent = 0
        self._arrived = 0
        self._kept: dict[int, list[int]] = {}
        self._progress: dict[int, int] = {}
        self._operations: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._fatal: BaseException | None = None
        self._launcher: Launcher | None = None
        self._offset_s = 0.0

    # --- the run -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the episode to its end, or to the cap of its drain.

        Raises:
            MaestroError: A server does not answer at the start, serves another model, or the policy needs what nobody
                knows.
        """
        self._wake = asyncio.Event()
        try:
            await self._open()
            for server in self.servers:
                self._spawn(self._watch(server))
            await self._loop()
        finally:
            tasks = [*self._tasks, *self._operations.values()]
            tasks += [attempt.task for attempt in self._attempts.values() if attempt.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for server in self.servers:
                await server.client.close()
            if hasattr(self, "_log"):
                self._log.close()

    async def _loop(self) -> None:
        cap_s = float(self.books.simulation.world.params["drain_cap_s"][0])
        while True:
            self._wake.clear()
            self._advance()
            self._show_progress()
            self._decide()
            if self._fatal is not None:
                raise self._fatal
            if self.books.drained or self.now_s >= cap_s:
                self.books.core.env["done"][0] = DONE_DRAINED if self.books.drained else DONE_TIME
                self._log.write("end", self.now_s, drained=self.books.drained)
                return
            most_s = TICK_S if self._progress or self._attempts else IDLE_S
            pause_s = min(most_s, self.books.next_s() - self.now_s, cap_s - self.now_s)
            if pause_s > _EXACT_S:
                # Not wait_for: before Python 3.12 it can swallow a cancellation that meets the wake-up.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()
            else:
                await asyncio.sleep(0)

    @property
    def now_s(self) -> float:
        """Seconds since the run began, by the monotonic clock."""
        return time.monotonic() - self._began + self._offset_s

    def _advance(self) -> None:
        self.books.advance(self.now_s)
        arrived = int(self.books.core.env["arrival_next"][0])
        for workflow in range(self._arrived, arrived):
            arrival_s = float(self.episode.workflows["arrival_s"][workflow])
            self._log.write("arrive", self.books.now_s, workflow=workflow, arrival_s=arrival_s)
        self._arrived = arrived

    # --- beginning -----------------------------------------------------------------------------

    async def _open(self) -> None:
        settings = self.settings
        fleet, scenario = settings.fleet, settings.scenario
        for row, node in enumerate(fleet.nodes):
            for engine in node.engines:
                model = fleet.model_names.index(engine.model)
                server = Server(row, model, node.name, engine, NodeClient(fleet, engine))
                server.wanted = engine.awake or engine.residency != "process"
                self.servers.append(server)
                self._by_place[row, model] = server
        if any(server.engine.residency == "process" for server in self.servers):
            self._launcher = await asyncio.to_thread(make_launcher, fleet, lambda _: None)
        # Sleepers first: others may need the memory that they leave.
        for awake in (False, True):
            group = [server for server in self.servers if server.wanted and server.engine.awake is awake]
            await asyncio.gather(*(meet(server) for server in group))
        probed = [server.can for server in self.servers if server.wanted]
        check_policy(self.policy, field_sources(probed), scenario)
        if settings.shadow is not None:
            check_policy(settings.shadow, field_sources(probed), scenario)
        history = list(read_events(self._log_path)) if settings.resume else []
        self._run_id = str(history[0]["run_id"]) if history else uuid.uuid4().hex[:10]
        salt = int(self._run_id, 16) % 2**31
        self.books = Books(
            fleet,
            scenario,
            self.episode,
            self.policy,
            load_policy(FALLBACK_POLICY, scenario),
            shadow=settings.shadow,
            key=settings.seed,
            samples=settings.samples,
        )
        vocab = min(scenario.config.architectures[model.architecture].vocab for model in fleet.models)
        self._prompts = Prompts(self.episode, vocab, salt)
        self._fixed = [(s.node, s.model) for s in self.servers if s.engine.residency == "always"]
        for server in self.servers:
            if self.books.awake(server.node, server.model):
                self._take_pool(server)
        self._restarts = sum(event["event"] == "resume" for event in history)
        if history:
            self._offset_s, self.finishes = catch_up(self.books, history, self._log_path)
            self._arrived = sum(event["event"] == "arrive" for event in history)
            self._log = EventLog(self._log_path, None)
            self._log.write("resume", self._offset_s, finished=len(self.finishes))
        else:
            self._log = EventLog(self._log_path, self._header())
        self._began = time.monotonic()

    def _header(self) -> dict[str, object]:
        settings = self.settings
        return {
            "run_id": self._run_id,
            "policy": self.policy.name,
            "policy_spec": self.policy.spec,
            "scenario": settings.scenario.config.name,
            "split": settings.split,
            "seed": settings.seed,
            "index": settings.index,
            "started_unix_s": time.time(),
            "stages": len(self.episode.stages),
            "workflows": len(self.episode.workflows),
            "servers": {server.words: server.can.present for server in self.servers},
        }

    def _take_pool(self, server: Server) -> None:
        """Reckon with the KV pool that a server says it has."""
        tokens = self.books.set_pool(server.node, server.model, server.can)
        check_pool(server, tokens, self.episode)

    @property
    def _log_path(self) -> Path:
        return self.settings.folder / "events.jsonl"

    # --- decisions -----------------------------------------------------------------------------

    def _decide(self) -> None:
        """Answer every decision that is due, and carry it out."""
        while True:
            self.books.keep_still(self._fixed)
            tier = ledger.next_tier(self.books.engine)
            if tier == NO_TIER:
                return
            clock = self.books.view.clock[0]
            place, stage = int(clock["place"]), int(clock["stage"])
            before = self.books.statuses(place) if tier == TIER_NODE else {}
            answer = self.books.deciders.answer()
            legal = ledger.take_action(self.books.engine, answer.action)
            if not legal and answer.by == "policy":
                self.books.deciders.troubles += 1
            details: dict[str, object] = {} if answer.shadow is None else {"shadow": answer.shadow}
            if answer.trouble or not legal:
                details |= {"by": answer.by, "trouble": answer.trouble or "illegal"}
            self._log.write(
                "decision",
                self.books.now_s,
                tier=TIER_NAMES[tier],
                place=place,
                stage=stage,
                action=answer.action,
                means=self.books.action_words(tier, answer.action),
                latency_s=round(answer.latency_s, 6),
                **details,
            )
            if tier == TIER_NODE:
                self._move_engines(place, before)
                self._reconcile(place)
            else:
                # A stage that was sent reaches its node's queue at this very instant.
                self.books.advance(self.books.now_s)

    def _move_engines(self, node: int, before: dict[int, int]) -> None:
        """Do to the servers of a node what its engines did in the books."""
        after = self.books.statuses(node)
        changes = [(m, before.get(m, ENGINE_FREE), after.get(m, ENGINE_FREE)) for m in {*before, *after}]
        # What gives way goes first: the promoted engine needs its memory.
        for model, old, new in sorted(changes, key=lambda change: change[2] == ENGINE_LOADING):
            server = self._by_place[node, model] if old != new else None
            if server is None:
                continue
            if new == ENGINE_LOADING:
                self._operate(server, "promote", self._promote)
            elif old == ENGINE_AWAKE:
                if server.engine.residency == "process" and new == ENGINE_ASLEEP:
                    # A process cannot sleep: ending it is its only demotion.
                    ledger.drop_engine(self.books.engine, node, model)
                self._operate(server, "demote", self._demote)

    def _operate(self, server: Server, name: str, work: Callable[[Server], Awaitable[None]]) -> None:
        """Queue a change of residency behind those that its node still has under way."""
        earlier = self._operations.get(server.node)

        async def chain() -> None:
            if earlier is not None:
                await asyncio.wait({earlier})
            began = time.monotonic()
            self._log.write(name, self.now_s, server=server.words)
            try:
                await work(server)
            except NodeError as error:
                self._log.write("fault", self.now_s, server=server.words, during=name, error=str(error))
                self._go_down(server, str(error))
            else:
                self._log.write(f"{name}d", self.now_s, server=server.words, seconds=round(time.monotonic() - began, 4))
            self._wake.set()

        self._operations[server.node] = self._guard(chain())

    async def _promote(self, server: Server) -> None:
        server.wanted = True
        if server.engine.residency == "process" and self._launcher is not None:
            place = self.settings.fleet.nodes[server.node]
            note = await asyncio.to_thread(self._launcher.start, place, server.engine)
            await asyncio.to_thread(self._launcher.wait_ready, note)
            server.client.breaker.succeeded()
        else:
            await server.client.wake()
        if not server.can.token_ids:
            server.can = await probe(server.client)
        server.up = True
        self._advance()
        if ledger.end_load(self.books.engine, server.node, server.model):
            self._take_pool(server)

    async def _demote(self, server: Server) -> None:
        if server.engine.residency == "process" and self._launcher is not None:
            server.wanted = False
            note = read_notes(self._launcher.folder).get(server.engine.url)
            if note is not None:
                await asyncio.to_thread(stop_server, self._launcher.folder, note)
        else:
            await server.client.sleep()

    # --- stages --------------------------------------------------------------------------------

    def _reconcile(self, node: int) -> None:
        """Send every stage that the books admitted, cut every one that they paused."""
        for attempt in list(self._attempts.values()):
            if attempt.server.node == node and not self.books.is_running(attempt.stage):
                self._log.write("pause", self.books.now_s, stage=attempt.stage, server=attempt.server.words)
                self._cut(attempt)
        for stage in self.books.running(node):
            if stage not in self._attempts:
                self._send(stage, self._by_place[node, int(self.episode.stages["model"][stage])])

    def _send(self, stage: int, server: Server) -> None:
        number = self._sent.get(stage, 0)
        attempt = Attempt(stage, number, server, self._prompts.of(stage), self._kept.pop(stage, []))
        self._sent[stage] = number + 1
        self._num_sent += 1
        self._attempts[stage] = attempt
        details = {"kept": len(attempt.kept)} if attempt.kept else {}
        self._log.write("send", self.books.now_s, stage=stage, server=server.words, attempt=number, **details)
        attempt.task = self._guard(self._serve(attempt))

    async def _serve(self, attempt: Attempt) -> None:
        stage, server = attempt.stage, attempt.server
        left = int(self.episode.hidden["output_tokens"][stage]) - len(attempt.kept)
        request = Request(
            f"{self._run_id}-{self._restarts}-{stage}-{attempt.number}",
            attempt.prompt + attempt.kept,
            left,
            # In order of admission, so that the engine keeps to the order that the policy chose.
            priority=self._num_sent,
        )

        def note(answer: Answer) -> None:
            attempt.answer = answer
            total = len(attempt.kept) + answer.output_tokens
            if attempt.begun:
                self._progress[stage] = total
                return
            attempt.begun = True
            self._advance()
            self._paused_by(ledger.show_tokens(self.books.engine, stage, total))
            if self._attempts.get(stage) is not attempt:
                # Its own growth paused it: leaving the stream from inside closes it.
                raise asyncio.CancelledError

        try:
            answer = await server.client.complete(request, note)
        except NodeError as error:
            self._failed(attempt, error)
            return
        if self._attempts.get(stage) is not attempt:
            return
        attempt.answer = answer
        self._finished(attempt)

    def _finished(self, attempt: Attempt) -> None:
        stage, answer, server = attempt.stage, attempt.answer, attempt.server
        self._advance()
        del self._attempts[stage]
        self._progress.pop(stage, None)
        total = len(attempt.kept) + answer.output_tokens
        times = self.books.told(stage)
        details: dict[str, object] = {}
        if answer.cached_tokens is not None:
            details["cached"] = answer.cached_tokens
        if answer.engine is not None:
            details["engine"] = answer.engine.model_dump(exclude_none=True)
        self._log.write(
            "finish", self.books.now_s, stage=stage, server=server.words, tokens=total, times=times, **details
        )
        if not ledger.end_stage(self.books.engine, stage, total):
            raise RuntimeError(f"stage {stage} finished, but the books do not have it running")
        self.finishes[stage] = self.finishes.get(stage, 0) + 1
        self._note_hits(stage, answer)
        self._prompts.keep(stage, attempt.prompt, attempt.tokens)
        server.did_well()
        self._wake.set()

    def _note_hits(self, stage: int, answer: Answer) -> None:
        """Put the server's count of cached prompt tokens in place of the books' estimate."""
        if answer.cached_tokens is not None:
            record, counters = self.books.view.stages[0, stage], self.books.core.counters
            counters["cached_tokens"][0] += answer.cached_tokens - int(record["prefix_hit_tokens"])
            record["prefix_hit_tokens"] = answer.cached_tokens

    def _failed(self, attempt: Attempt, error: NodeError) -> None:
        """A stage's server did not do it: back to the queue with it."""
        stage, server = attempt.stage, attempt.server
        if self._attempts.get(stage) is not attempt:
            return
        server.note_fault(error)
        self._advance()
        self._log.write("fault", self.books.now_s, stage=stage, server=server.words, error=str(error))
        self._return(attempt, believe=error.fault != Fault.MALFORMED)
        if error.fault == Fault.REFUSED:
            # The controller sends only what the server agreed to serve, so it is not the server it was.
            server.client.breaker.trip()
        if server.client.breaker.is_open:
            self._go_down(server, str(error))
        self._wake.set()

    def _return(self, attempt: Attempt, believe: bool = True) -> None:
        """Bring a stage back to the global queue."""
        self._cut(attempt, believe)
        ledger.take_back(self.books.engine, attempt.stage, len(self._kept[attempt.stage]))

    def _cut(self, attempt: Attempt, believe: bool = True) -> None:
        """Close a stage's stream, which aborts it on the server; output known as tokens stays with the stage."""
        stage, answer = attempt.stage, attempt.answer
        self._attempts.pop(stage, None)
        self._progress.pop(stage, None)
        known = believe and len(answer.token_ids) == answer.output_tokens
        # The last token is always made anew: an attempt must have something to ask for.
        most = int(self.episode.hidden["output_tokens"][stage]) - 1
        self._kept[stage] = (attempt.tokens if known else attempt.kept)[:most]
        if attempt.task is not None and attempt.task is not asyncio.current_task():
            attempt.task.cancel()

    def _show_progress(self) -> None:
        """Write streamed tokens into the books; a stage that outgrows its reservation may pause another."""
        while self._progress:
            stage, total = self._progress.popitem()
            if stage in self._attempts:
                self._paused_by(ledger.show_tokens(self.books.engine, stage, total))

    def _paused_by(self, count: int) -> None:
        if count:
            for node in range(len(self.settings.fleet.nodes)):
                self._reconcile(node)
            self._wake.set()

    # --- servers -------------------------------------------------------------------------------

    async def _watch(self, server: Server) -> None:
        """Scrape a server again and again; see it go down and come back."""
        while True:
            await asyncio.sleep(self.settings.fleet.client.scrape_s)
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
                self._log.write("metrics_lost", self.now_s, server=server.words)
            self._note_gauges(server)
            if not server.up:
                self._come_back(server)
            elif not self._attempts:
                server.client.breaker.succeeded()

    def _note_gauges(self, server: Server) -> None:
        """Write a scrape into the view, and hold the books' reservation against the engine's own number."""
        gauges = server.gauges
        slot = int(self.books.view.slot_of[0, server.node, server.model])
        if slot < 0 or not self.books.awake(server.node, server.model):
            return
        engine = self.books.view.engines[0, server.node, slot]
        if server.metrics_lost or gauges is None or gauges.kv_usage is None or not server.can.kv_tokens:
            self.books.set_used(server.node, server.model, float(engine["kv_reserved_bytes"]))
            return
        unit = float(self.books.simulation.world.perf["kv_bytes_per_token"][server.node, server.model])
        used = gauges.kv_usage * server.can.kv_tokens * unit
        self._show_progress()
        self.kv_excess_bytes.append(used - float(engine["kv_reserved_bytes"]))
        self.books.set_used(server.node, server.model, used)

    def _go_down(self, server: Server, why: str) -> None:
        """A server is lost: its stages go back to the queue, and none is sent there until it is well again."""
        if not server.up:
            return
        server.up = False
        server.hold_off()
        server.client.breaker.trip()
        self._advance()
        self._log.write("down", self.books.now_s, server=server.words, why=why[:300])
        for attempt in [a for a in self._attempts.values() if a.server is server]:
            self._return(attempt)
        for stage in [
            *self.books.running(server.node, server.model),
            *self.books.queued(server.node, server.model),
        ]:
            ledger.take_back(self.books.engine, stage, len(self._kept.get(stage, [])))
        ledger.drop_engine(self.books.engine, server.node, server.model)
        if server.engine.residency == "process":
            # Whoever wants the model promotes it again, which starts a process.
            server.up, server.wanted = True, False
        else:
            self.books.mark_down(server.node, server.model)
        self._wake.set()

    def _come_back(self, server: Server) -> None:
        server.up = True
        server.client.breaker.succeeded()
        self._advance()
        self.books.mark_up(server.node, server.model)
        revived = ledger.revive_engine(self.books.engine, server.node, server.model)
        if revived:
            self._take_pool(server)
        self._log.write("up", self.books.now_s, server=server.words, running=revived)
        if not revived and server.can.sleep:
            self._operate(server, "demote", self._demote)
        self._wake.set()

    # --- tasks ---------------------------------------------------------------------------------

    def _spawn(self, work: Awaitable[None]) -> None:
        self._tasks.add(self._guard(work))

    def _guard(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Start a task whose unforeseen end ends the run, instead of passing unseen."""

        async def guarded() -> None:
            try:
                await work
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                self._fatal = self._fatal or error
                self._wake.set()

        return asyncio.create_task(guarded())
