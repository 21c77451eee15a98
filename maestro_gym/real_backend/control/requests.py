"""Stages on their way through servers: sent when they are admitted, aborted when they are paused, delivered once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from maestro_gym.real_backend.control import moves
from maestro_gym.real_backend.control.attempt import Attempt
from maestro_gym.real_backend.control.context import LiveContext
from maestro_gym.real_backend.vllm.completion import Answer, Request
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError
from maestro_gym.real_backend.vllm.prompts import Prompts
from maestro_gym.real_backend.vllm.server import Server


class Traffic:
    """The requests of a live run.

    Attributes:
        attempts: The requests that are under way, by stage.
        finishes: How often each stage was delivered: the proof that none was lost or done twice.
        on_lost: Called with a server that failed too often, and with the reason.
    """

    def __init__(self, run: LiveContext, prompts: Prompts, finishes: dict[int, int]) -> None:
        """Prepare; nothing is sent yet.

        Args:
            run: The run.
            prompts: The maker of the prompts of all stages.
            finishes: How often an earlier controller delivered each stage.
        """
        self.attempts: dict[int, Attempt] = {}
        self.finishes = finishes
        self.on_lost: Callable[[Server, str], None] = lambda server, why: None
        self._run, self._fleet_state, self._prompts = run, run.fleet_state, prompts
        self._sent: dict[int, int] = {}
        self._num_sent = 0
        self._kept: dict[int, list[int]] = {}
        self._progress: dict[int, int] = {}

    @property
    def waiting(self) -> bool:
        """Whether tokens may come that the fleet state does not have yet."""
        return bool(self._progress or self.attempts)

    def reconcile(self, node: int) -> None:
        """Send every stage of a node that was admitted, and abort every one that was paused."""
        for attempt in list(self.attempts.values()):
            if attempt.server.node == node and not self._fleet_state.is_running(attempt.stage):
                self._run.log.write("pause", self._fleet_state.now_s, stage=attempt.stage, server=attempt.server.words)
                self._cut(attempt)
        for stage in self._fleet_state.running(node):
            if stage not in self.attempts:
                self._send(stage, self._run.server(node, int(self._run.episode.stages["model"][stage])))

    def show_progress(self) -> None:
        """Write streamed tokens into the fleet state; a stage that outgrows its reservation may pause another."""
        while self._progress:
            stage, total = self._progress.popitem()
            if stage in self.attempts:
                self._paused_by(moves.show_tokens(self._fleet_state.engine, stage, total))

    def take_back(self, server: Server) -> None:
        """Return everything that runs on a server or waits for it to the global queue."""
        for attempt in [a for a in self.attempts.values() if a.server is server]:
            self._return(attempt)
        for stage in [
            *self._fleet_state.running(server.node, server.model),
            *self._fleet_state.queued(server.node, server.model),
        ]:
            moves.take_back(self._fleet_state.engine, stage, len(self._kept.get(stage, [])))

    def _send(self, stage: int, server: Server) -> None:
        number = self._sent.get(stage, 0)
        attempt = Attempt(stage, number, server, self._prompts.of(stage), self._kept.pop(stage, []))
        self._sent[stage] = number + 1
        self._num_sent += 1
        self.attempts[stage] = attempt
        details = {"kept": len(attempt.kept)} if attempt.kept else {}
        self._run.log.write(
            "send", self._fleet_state.now_s, stage=stage, server=server.words, attempt=number, **details
        )
        # Priorities count up in the order of admission, so that the engine keeps the order that the policy chose.
        priority = self._num_sent
        attempt.task = self._run.spawn(lambda: self._serve(attempt, priority))

    def request_id(self, attempt: Attempt) -> str:
        """Return the id under which a server knows an attempt."""
        return f"{self._run.run_id}-{self._run.restarts}-{attempt.stage}-{attempt.number}"

    async def _serve(self, attempt: Attempt, priority: int) -> None:
        stage, server = attempt.stage, attempt.server
        left = int(self._run.episode.hidden["output_tokens"][stage]) - len(attempt.kept)
        request = Request(self.request_id(attempt), attempt.prompt + attempt.kept, left, priority)

        def note(answer: Answer) -> None:
            attempt.answer = answer
            total = len(attempt.kept) + answer.output_tokens
            if attempt.begun:
                self._progress[stage] = total
                return
            attempt.begun = True
            self._run.advance()
            self._paused_by(moves.show_tokens(self._fleet_state.engine, stage, total))
            if self.attempts.get(stage) is not attempt:
                # The stage was paused by its own growth: leaving the stream from inside closes it.
                raise asyncio.CancelledError

        try:
            answer = await server.client.complete(request, note)
        except NodeError as error:
            self._failed(attempt, error)
            return
        if self.attempts.get(stage) is not attempt:
            return
        attempt.answer = answer
        self._finished(attempt)

    def _finished(self, attempt: Attempt) -> None:
        stage, answer, server = attempt.stage, attempt.answer, attempt.server
        self._run.advance()
        del self.attempts[stage]
        self._progress.pop(stage, None)
        total = len(attempt.kept) + answer.output_tokens
        times = self._fleet_state.told(stage)
        details: dict[str, object] = {}
        if answer.cached_tokens is not None:
            details["cached"] = answer.cached_tokens
        if answer.engine is not None:
            details["engine"] = answer.engine.model_dump(exclude_none=True)
        self._run.log.write(
            "finish", self._fleet_state.now_s, stage=stage, server=server.words, tokens=total, times=times, **details
        )
        if not moves.end_stage(self._fleet_state.engine, stage, total):
            raise RuntimeError(f"stage {stage} finished, but it does not run in the fleet state")
        self.finishes[stage] = self.finishes.get(stage, 0) + 1
        self._note_hits(stage, answer)
        self._prompts.keep(stage, attempt.prompt, attempt.tokens)
        server.did_well()
        self._run.wake.set()

    def _note_hits(self, stage: int, answer: Answer) -> None:
        """Put the server's count of cached prompt tokens in place of the estimate."""
        if answer.cached_tokens is not None:
            record, counters = self._fleet_state.view.stages[0, stage], self._fleet_state.core.counters
            counters["cached_tokens"][0] += answer.cached_tokens - int(record["prefix_hit_tokens"])
            record["prefix_hit_tokens"] = answer.cached_tokens

    def _failed(self, attempt: Attempt, error: NodeError) -> None:
        """Return a stage whose server failed it to the queue."""
        stage, server = attempt.stage, attempt.server
        if self.attempts.get(stage) is not attempt:
            return
        server.note_fault(error)
        self._run.advance()
        self._run.log.write("fault", self._fleet_state.now_s, stage=stage, server=server.words, error=str(error))
        self._return(attempt, believe=error.fault != Fault.MALFORMED)
        if error.fault == Fault.REFUSED:
            # The controller sends only what the server agreed to serve, so this is not the server that it was.
            server.client.breaker.trip()
        if server.client.breaker.is_open:
            self.on_lost(server, str(error))
        self._run.wake.set()

    def _return(self, attempt: Attempt, believe: bool = True) -> None:
        """Return a stage to the global queue."""
        self._cut(attempt, believe)
        moves.take_back(self._fleet_state.engine, attempt.stage, len(self._kept[attempt.stage]))

    def _cut(self, attempt: Attempt, believe: bool = True) -> None:
        """Close the stream of a stage, which aborts it on the server; output known as tokens stays with the stage."""
        stage, answer = attempt.stage, attempt.answer
        self.attempts.pop(stage, None)
        self._progress.pop(stage, None)
        known = believe and len(answer.token_ids) == answer.output_tokens
        # The last token is always made anew, because an attempt must have something to ask for.
        most = int(self._run.episode.hidden["output_tokens"][stage]) - 1
        self._kept[stage] = (attempt.tokens if known else attempt.kept)[:most]
        if attempt.task is not None and attempt.task is not asyncio.current_task():
            attempt.task.cancel()

    def _paused_by(self, count: int) -> None:
        if count:
            for node in range(len(self._run.settings.fleet.nodes)):
                self.reconcile(node)
            self._run.wake.set()
