"""A server that speaks vLLM's protocol without a model: for tests that want hundreds of requests or faults at will.

It keeps what the controller relies on: continuous batching by priority, KV blocks, a prefix cache of whole blocks,
token ids that follow from the prompt, the metrics page, sleep, pause and abort. The contract tests hold it against a
real server.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.real_backend.listener import (
    Listener,
    Receive,
    Send,
    break_off,
    disconnected,
    read_body,
    refuse,
    reply,
    send_event,
    send_json,
)

BLOCK = 32
VOCAB = 2048


@dataclass
class _Job:
    request_id: str
    prompt: list[int]
    wanted: int
    priority: int
    number: int
    tokens: asyncio.Queue[tuple[int, str | None]] = field(default_factory=asyncio.Queue)
    made: int = 0
    cached: int = 0
    prefilled: int = 0
    began_s: float = 0.0
    first_s: float = 0.0


class StandIn(Listener):
    """The server.

    Attributes:
        pace: Awaited before every step of the engine; None waits for `step_s`. A test whose outcome must not depend on
            how quick the machine is lets it wait for a state.
        steps: Steps that the engine has made.
        paths: What it was asked for since it was started.
    """

    def __init__(
        self,
        model: str = "mid",
        *,
        port: int = 0,
        step_s: float = 0.002,
        max_num_seqs: int = 4,
        kv_tokens: int = 3136,
        max_model_len: int = 2048,
        max_queued: int = 16,
        dev_mode: bool = True,
        priority: bool = True,
        api_key: str = "",
    ) -> None:
        super().__init__(port)
        self.model, self.step_s, self.max_num_seqs = model, step_s, max_num_seqs
        self.kv_tokens, self.max_model_len, self.max_queued = kv_tokens, max_model_len, max_queued
        self.dev_mode, self.priority, self.api_key = dev_mode, priority, api_key
        self.pace: Callable[[], Awaitable[None]] | None = None
        self.steps = 0
        self.finished_ids: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.authorizations: list[str] = []
        self._restart()

    def _restart(self) -> None:
        self.paths: list[str] = []
        self.running: list[_Job] = []
        self.waiting: list[_Job] = []
        self.counters = dict.fromkeys(
            ("prompt", "generation", "queries", "hits", "success", "rejections", "preemptions"), 0
        )
        self._blocks: dict[int, None] = {}
        self._asleep = self._paused = False
        self._number = 0

    def start(self) -> None:
        """Listen; after `stop` it begins anew, its memory lost."""
        self._restart()
        super().start()

    async def beside(self) -> None:
        await self._step()

    # --- the engine ----------------------------------------------------------------------------

    def _used(self, *more: _Job) -> int:
        """KV tokens in use; a block of a prompt that several jobs share counts once."""
        shared: set[int] = set()
        own = 0
        for job in [*self.running, *more]:
            keys = self._keys(job.prompt)
            shared |= set(keys)
            own += -(-(len(job.prompt) + job.made + 1) // BLOCK) - len(keys)
        return (len(shared) + own) * BLOCK

    async def _step(self) -> None:
        while True:
            await (asyncio.sleep(self.step_s) if self.pace is None else self.pace())
            self.steps += 1
            if self._asleep or self._paused:
                continue
            self._admit()
            for job in list(self.running):
                if job.prefilled < len(job.prompt):
                    job.prefilled = len(job.prompt)
                    self.counters["prompt"] += len(job.prompt)
                token = 4 + (hash((job.prompt[-1], job.made)) % (VOCAB - 4))
                job.made += 1
                self.counters["generation"] += 1
                if job.made == 1:
                    job.first_s = time.monotonic()
                    self._remember(job)
                done = job.made >= job.wanted
                job.tokens.put_nowait((token, "length" if done else None))
                if done:
                    self.running.remove(job)
                    self.counters["success"] += 1
                    self.finished_ids.append(job.request_id)

    def _admit(self) -> None:
        order = (lambda job: (job.priority, job.number)) if self.priority else (lambda job: job.number)
        for job in sorted(self.waiting, key=order):
            if len(self.running) >= self.max_num_seqs or self._used(job) > self.kv_tokens:
                return
            self.waiting.remove(job)
            self.running.append(job)
            keys = self._keys(job.prompt)
            hits = 0
            while hits < len(keys) and keys[hits] in self._blocks and (hits + 1) * BLOCK < len(job.prompt):
                hits += 1
            job.cached = hits * BLOCK
            self.counters["queries"] += len(job.prompt)
            self.counters["hits"] += job.cached

    @staticmethod
    def _keys(prompt: list[int]) -> list[int]:
        return [hash(tuple(prompt[: end * BLOCK])) for end in range(1, len(prompt) // BLOCK + 1)]

    def _remember(self, job: _Job) -> None:
        self._blocks |= dict.fromkeys(self._keys(job.prompt))

    def _forget(self, job: _Job) -> None:
        for jobs in (self.running, self.waiting):
            if job in jobs:
                jobs.remove(job)

    # --- the protocol --------------------------------------------------------------------------

    async def app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        self.authorizations.append(headers.get("authorization", ""))
        body = await read_body(receive)
        path, method = scope["path"], scope["method"]
        self.paths.append(path)
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        said = headers.get("authorization", "")
        if self.api_key and path.startswith("/v1/") and said != f"Bearer {self.api_key}":
            await send_json(send, 401, {"error": {"message": f"Unauthorized: {said}"}})
        elif path == "/v1/completions" and method == "POST":
            await self._complete(json.loads(body), headers, receive, send)
        else:
            await self._other(path, method, query, json.loads(body) if body else {}, send)

    async def _other(self, path: str, method: str, query: dict[str, str], body: dict[str, Any], send: Send) -> None:
        if path in self.faults.silent:
            await asyncio.sleep(3600)
        if path == "/health":
            await reply(send, 200, b"")
        elif path == "/version":
            await send_json(send, 200, {"version": "0.32.0"})
        elif path == "/load":
            await send_json(send, 200, {"server_load": len(self.running) + len(self.waiting)})
        elif path == "/v1/models":
            await send_json(
                send, 200, {"object": "list", "data": [{"id": self.model, "max_model_len": self.max_model_len}]}
            )
        elif path == "/metrics" and self.faults.metrics:
            page = self.faults.metrics_body if self.faults.metrics_body is not None else self._page().encode()
            await reply(send, 200, page, "text/plain; version=0.0.4")
        elif self.dev_mode and path in _DEV_GET and method == "GET":
            await send_json(send, 200, self._tell(path))
        elif self.dev_mode and path in _DEV_POST:
            if method != "POST":
                await send_json(send, 405, {"detail": "Method Not Allowed"})
            else:
                await send_json(send, 200, await self._act(path, query, body))
        else:
            await send_json(send, 404, {"detail": "Not Found"})

    def _tell(self, path: str) -> dict[str, Any]:
        if path == "/server_info":
            policy = "priority" if self.priority else "fcfs"
            return {"vllm_config": {"scheduler_config": {"policy": policy}}}
        return {"is_sleeping": self._asleep} if path == "/is_sleeping" else {"is_paused": self._paused}

    async def _act(self, path: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if path == "/sleep":
            while self.running or self.waiting:
                await asyncio.sleep(self.step_s)
            self._asleep = True
            self._blocks.clear()
        elif path == "/wake_up":
            self._asleep = False
        elif path == "/pause":
            self._paused = query.get("mode", "abort") == "keep"
        elif path == "/resume":
            self._paused = False
        elif path == "/reset_prefix_cache":
            self._blocks.clear()
            return {"success": not self.running}
        elif path == "/abort_requests":
            for job in [*self.running, *self.waiting]:
                if f"cmpl-{job.request_id}-0" in body.get("request_ids", []):
                    self._forget(job)
                    job.tokens.put_nowait((-1, "abort"))
        return {"status": "ok"}

    def _page(self) -> str:
        label = f'{{engine="0",model_name="{self.model}"}}'
        used = self._used() / self.kv_tokens
        count = self.counters
        states = {"awake": not self._asleep, "weights_offloaded": self._asleep, "discard_all": False}
        lines = [
            "# TYPE vllm:num_requests_running gauge",
            f"vllm:num_requests_running{label} {len(self.running)}.0",
            "# TYPE vllm:num_requests_waiting gauge",
            f"vllm:num_requests_waiting{label} {len(self.waiting)}.0",
            "# TYPE vllm:kv_cache_usage_perc gauge",
            f"vllm:kv_cache_usage_perc{label} {used}",
            "# TYPE vllm:cache_config_info gauge",
            f'vllm:cache_config_info{{block_size="{BLOCK}",num_gpu_blocks="{self.kv_tokens // BLOCK}",'
            f'kv_cache_size_tokens="{self.kv_tokens}",enable_prefix_caching="True",engine="0"}} 1.0',
            "# TYPE vllm:engine_sleep_state gauge",
            *(f'vllm:engine_sleep_state{{engine="0",sleep_state="{s}"}} {float(on)}' for s, on in states.items()),
        ]
        for name, value in (
            ("num_preemptions", count["preemptions"]),
            ("prompt_tokens", count["prompt"]),
            ("generation_tokens", count["generation"]),
            ("prefix_cache_queries", count["queries"]),
            ("prefix_cache_hits", count["hits"]),
            ("request_success", count["success"]),
            ("admission_rejections", count["rejections"]),
        ):
            lines += [f"# TYPE vllm:{name} counter", f"vllm:{name}_total{label} {float(value)}"]
            lines += [f"# TYPE vllm:{name}_created gauge"]
            lines += [f"vllm:{name}_created{label} {time.time() + self.faults.clock_ahead_s}"]
        return "\n".join(lines) + "\n"

    async def _complete(
        self,
        body: dict[str, Any],
        headers: dict[str, str],
        receive: Receive,
        send: Send,
    ) -> None:
        self.bodies.append(body)
        prompt = body["prompt"]
        if body["model"] != self.model:
            message = f"The model `{body['model']}` does not exist. Valid aliases: {self.model}."
            return await send_json(send, 404, {"error": {"message": message, "code": 404}})
        if len(prompt) >= self.max_model_len:
            return await send_json(send, 400, {"error": {"message": "prompt too long", "param": "input_tokens"}})
        request_id = headers.get("x-request-id", "none")
        fault, after = self.faults.plan(request_id) or ("", 0)
        if len(self.waiting) >= self.max_queued:
            fault = "busy"
        self.counters["rejections"] += fault == "busy"
        if await refuse(send, fault):
            return None
        self._number += 1
        wanted = min(body["max_tokens"], self.max_model_len - len(prompt))
        job = _Job(request_id, prompt, wanted, body.get("priority", 0), self._number, began_s=time.monotonic())
        self.waiting.append(job)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        gone = asyncio.create_task(disconnected(receive))
        try:
            await self._stream(job, fault, after, gone, send)
        finally:
            gone.cancel()
            self._forget(job)

    async def _stream(self, job: _Job, fault: str, after: int, gone: asyncio.Task[None], send: Send) -> None:
        usage = {"prompt_tokens": len(job.prompt), "completion_tokens": 0}
        for index in range(job.wanted):
            if fault and index >= after:
                await break_off(send, fault, gone)
            await asyncio.sleep(self.faults.late_s)
            wait = asyncio.ensure_future(job.tokens.get())
            await asyncio.wait({wait, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not wait.done():
                wait.cancel()
                return
            token, reason = wait.result()
            usage["completion_tokens"] = index + (0 if token < 0 else 2 if fault == "lie" else 1)
            piece = {"index": 0, "text": "x", "finish_reason": reason, "token_ids": [token] if token >= 0 else []}
            created = int(time.time() + self.faults.clock_ahead_s)
            await send_event(
                send, {"id": f"cmpl-{job.request_id}", "created": created, "choices": [piece], "usage": usage}
            )
            if reason is not None:
                break
        now_s = time.monotonic()
        times = {
            "time_to_first_token_ms": 1e3 * (job.first_s - job.began_s),
            "generation_time_ms": 1e3 * (now_s - job.first_s),
            "queue_time_ms": 0.0,
            "mean_itl_ms": 1e3 * (now_s - job.first_s) / max(1, job.made - 1),
        }
        details = usage | {"prompt_tokens_details": {"cached_tokens": job.cached}}
        await send_event(send, {"id": f"cmpl-{job.request_id}", "choices": [], "usage": details, "metrics": times})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})


_DEV_GET = ("/is_sleeping", "/is_paused", "/server_info")
_DEV_POST = ("/sleep", "/wake_up", "/pause", "/resume", "/reset_prefix_cache", "/abort_requests")
