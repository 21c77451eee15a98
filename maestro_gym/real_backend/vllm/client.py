"""The client of one vLLM server: asynchronous, typed, patient within bounds, and it believes nothing unchecked."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from maestro_gym.config.live import ClientConfig, LiveEngineConfig, LiveFleetConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.vllm.breaker import Breaker
from maestro_gym.real_backend.vllm.metrics_page import EngineGauges, read_metrics
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError
from maestro_gym.real_backend.vllm.wire import (
    Chunk,
    EngineTimes,
    ErrorBody,
    ModelList,
    Sleeping,
    Success,
    Version,
    read_wire,
)

_RETRIED = (Fault.UNREACHABLE, Fault.BUSY, Fault.FAILED, Fault.STALLED)


@dataclass(frozen=True)
class Request:
    """One completion to ask for.

    Attributes:
        request_id: Unique; the server's id becomes ``cmpl-<request_id>``.
        prompt_ids: Token ids.
        output_tokens: Tokens to make, exactly.
        priority: Lower goes first, where the server schedules by priority.
        adapter: Name of a loaded LoRA adapter that answers; empty for the model itself.
    """

    request_id: str
    prompt_ids: Sequence[int]
    output_tokens: int
    priority: int = 0
    adapter: str = ""


@dataclass
class Answer:
    """What came of a request so far; the same object grows while the stream runs.

    Attributes:
        prompt_tokens: As the server counted them, -1 before it said.
        output_tokens: Tokens made.
        cached_tokens: Prompt tokens from its prefix cache, None when it does not say.
        token_ids: Of the output, empty when it does not say.
        finish_reason: ``length``, ``stop`` or ``abort``; None while it runs.
        first_token_s: On the controller's monotonic clock, None before.
        last_token_s: Likewise.
        token_s: Times at which tokens came, one entry a chunk.
        engine: The engine's own times, where it gives them.
    """

    prompt_tokens: int = -1
    output_tokens: int = 0
    cached_tokens: int | None = None
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None
    first_token_s: float | None = None
    last_token_s: float | None = None
    token_s: list[float] = field(default_factory=list)
    engine: EngineTimes | None = None


OnProgress = Callable[[Answer], None]


class NodeClient:
    """Calls to one server.

    Attributes:
        engine: The server, as the fleet file has it.
        breaker: Whether it is left alone for now.
    """

    def __init__(
        self, fleet: LiveFleetConfig, engine: LiveEngineConfig, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            fleet: Where keys, certificates and patience come from.
            engine: The server.
            transport: In place of the network.

        Raises:
            MaestroError: A named key or certificate is not there.
        """
        self.engine = engine
        self.settings: ClientConfig = fleet.client
        self.breaker = Breaker(fleet.client.breaker_failures, fleet.client.breaker_open_s)
        self._control_headers = _bearer(fleet.control_key_env or fleet.api_key_env)
        self._http = httpx.AsyncClient(
            base_url=engine.url,
            headers={"Accept-Encoding": "identity"} | _bearer(fleet.api_key_env),
            verify=_tls(fleet.ca_file) if engine.url.startswith("https") else False,
            timeout=httpx.Timeout(fleet.client.control_s, connect=fleet.client.connect_s),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )
        self._jitter = random.Random()

    async def close(self) -> None:
        """Close all connections; requests under way are aborted by the server."""
        await self._http.aclose()

    # --- completions ---------------------------------------------------------------------------

    async def complete(self, request: Request, on_progress: OnProgress | None = None) -> Answer:
        """Ask for a completion and follow its stream to the end.

        Before the first token a full server (503) and failed connections are tried again, with pauses; after it
        nothing is repeated here, because the caller knows what the tokens so far are worth.

        Args:
            request: What to make.
            on_progress: Called after every token.

        Returns:
            The whole answer.

        Raises:
            NodeError: It came to nothing.
        """
        answer = Answer()

        async def attempt() -> Answer:
            await self._stream(request, answer, on_progress)
            return answer

        return await self._retrying(attempt, lambda: answer.output_tokens == 0)

    async def _stream(self, request: Request, answer: Answer, on_progress: OnProgress | None) -> None:
        body = {
            "model": request.adapter or self.engine.model,
            "prompt": list(request.prompt_ids),
            "max_tokens": request.output_tokens,
            "min_tokens": request.output_tokens,
            "ignore_eos": True,
            "temperature": 0,
            "priority": request.priority,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            "return_token_ids": True,
        }
        headers = {"X-Request-Id": request.request_id}
        timeout = httpx.Timeout(self.settings.control_s, connect=self.settings.connect_s, read=None)
        done = False
        async with self._sending("POST", "/v1/completions", json=body, headers=headers, timeout=timeout) as response:
            events = self._events(response)
            while True:
                patience_s = self.settings.stall_s if answer.output_tokens else self.settings.first_token_s
                try:
                    # Not wait_for: before Python 3.12 it can swallow a cancellation that meets an event.
                    async with asyncio.timeout(patience_s):
                        event = await anext(events)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise NodeError(Fault.STALLED, f"nothing came for {patience_s:g} s") from None
                if event == b"[DONE]":
                    done = True
                    break
                chunk = read_wire(Chunk, event, "stream")
                if chunk.error is not None:
                    raise _error_of(chunk.error.code or 500, chunk.error.message)
                if _note(answer, chunk) and on_progress is not None:
                    on_progress(answer)
        if not done or answer.finish_reason is None:
            raise NodeError(Fault.DROPPED, f"the stream ended after {answer.output_tokens} tokens")
        if answer.finish_reason == "abort":
            raise NodeError(Fault.DROPPED, f"aborted by the server after {answer.output_tokens} tokens")
        if answer.output_tokens != request.output_tokens:
            raise NodeError(
                Fault.MALFORMED, f"{answer.output_tokens} tokens came, {request.output_tokens} were asked for"
            )

    async def _events(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Server-sent events of a response: the bytes after ``data:``."""
        pending = b""
        async for piece in response.aiter_raw():
            pending += piece
            *lines, pending = pending.split(b"\n")
            if len(pending) > self.settings.max_event_bytes:
                raise NodeError(Fault.MALFORMED, f"stream: a line above {self.settings.max_event_bytes} bytes")
            for line in lines:
                line = line.strip()
                if line.startswith(b"data:"):
                    yield line[5:].strip()
                elif line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
                    raise NodeError(Fault.MALFORMED, "stream: a line that is no event")

    # --- observation ---------------------------------------------------------------------------

    async def health(self) -> None:
        """Ask whether the server lives; raises `NodeError` when it does not."""
        await self._call("GET", "/health")

    async def gauges(self) -> EngineGauges:
        """Scrape ``/metrics``."""
        return read_metrics(await self._call("GET", "/metrics", limit=self.settings.max_metrics_bytes))

    async def models(self) -> ModelList:
        """Which models it serves."""
        return read_wire(ModelList, await self._call("GET", "/v1/models"), "/v1/models")

    async def version(self) -> str:
        """Version of vLLM."""
        return read_wire(Version, await self._call("GET", "/version"), "/version").version

    async def probe_route(self, path: str) -> None:
        """GET a route with the control key and drop the answer; a refusal raises `NodeError` with its status."""
        await self._call("GET", path, control=True, limit=2**23)

    async def has_route(self, path: str) -> bool:
        """Whether a route that only tells something is served to this controller."""
        try:
            await self.probe_route(path)
        except NodeError as error:
            if error.fault == Fault.REFUSED:
                return False
            raise
        return True

    async def server_info(self) -> bytes | None:
        """Configuration of the server as JSON text, None where it is not told."""
        try:
            return await self._call("GET", "/server_info?config_format=json", control=True, limit=2**23)
        except NodeError as error:
            if error.fault == Fault.REFUSED:
                return None
            raise

    # --- control -------------------------------------------------------------------------------

    async def is_sleeping(self) -> bool:
        """Whether its engine sleeps."""
        body = await self._call("GET", "/is_sleeping", control=True)
        return read_wire(Sleeping, body, "/is_sleeping").is_sleeping

    async def sleep(self, level: int = 1) -> None:
        """Put a drained engine to sleep: 1 keeps the weights in host memory, 2 drops them."""
        await self._repeated("POST", f"/sleep?level={level}&mode=wait", self.settings.sleep_s)

    async def wake(self) -> None:
        """Wake it."""
        await self._repeated("POST", "/wake_up", self.settings.sleep_s)

    async def pause(self, mode: str = "keep") -> None:
        """Freeze its scheduler: ``keep`` what runs, ``wait`` until it is done, or ``abort`` it."""
        await self._repeated("POST", f"/pause?mode={mode}", self.settings.sleep_s)

    async def resume(self) -> None:
        """Go on after `pause`."""
        await self._repeated("POST", "/resume", self.settings.sleep_s)

    async def reset_prefix_cache(self) -> bool:
        """Drop cached prefixes; False while blocks are held."""
        body = await self._call("POST", "/reset_prefix_cache", control=True)
        return read_wire(Success, body, "/reset_prefix_cache").success

    async def abort(self, request_id: str) -> None:
        """Abort a request by the id it was sent with; closing its stream does the same without this route."""
        await self._call("POST", "/abort_requests", control=True, json={"request_ids": [f"cmpl-{request_id}-0"]})

    async def load_lora(self, name: str, path: str) -> None:
        """Load an adapter, which then answers to its own model name."""
        await self._call("POST", "/v1/load_lora_adapter", control=True, json={"lora_name": name, "lora_path": path})

    async def unload_lora(self, name: str) -> None:
        """Unload an adapter."""
        await self._call("POST", "/v1/unload_lora_adapter", control=True, json={"lora_name": name})

    # --- how calls are made --------------------------------------------------------------------

    async def _repeated(self, method: str, path: str, timeout_s: float) -> bytes:
        async def attempt() -> bytes:
            return await self._call(method, path, control=True, timeout=httpx.Timeout(timeout_s))

        return await self._retrying(attempt, lambda: True)

    async def _retrying(self, attempt: Callable[[], Any], untouched: Callable[[], bool]) -> Any:  # noqa: ANN401
        """Repeat a call while that is safe: exponential pauses with full jitter; a full server has more patience."""
        tries = 0
        last: NodeError | None = None
        while True:
            if not self.breaker.allows():
                raise last or NodeError(Fault.LEFT_ALONE, f"{self.breaker.failures} failures in a row")
            try:
                result = await attempt()
            except NodeError as error:
                last = error
                if error.counts:
                    self.breaker.failed()
                tries += 1
                if error.fault not in _RETRIED or not untouched() or tries > self.settings.retries:
                    raise
                pause_s = min(self.settings.backoff_max_s, self.settings.backoff_s * 2.0 ** (tries - 1))
                await asyncio.sleep(pause_s * self._jitter.uniform(0.5, 1.0))
            else:
                self.breaker.succeeded()
                return result

    async def _call(
        self,
        method: str,
        path: str,
        *,
        limit: int | None = None,
        control: bool = False,
        **options: Any,  # noqa: ANN401 - httpx's
    ) -> bytes:
        headers = self._control_headers if control else {}
        async with self._sending(method, path, headers=headers, **options) as response:
            return await _bounded(response, limit or self.settings.max_event_bytes)

    @asynccontextmanager
    async def _sending(self, method: str, path: str, **options: Any) -> AsyncIterator[httpx.Response]:  # noqa: ANN401
        """Open a call; every way it can fail becomes a `NodeError`, whose words hold no header and no prompt."""
        try:
            async with self._http.stream(method, path, **options) as response:
                if response.status_code >= 300:
                    raise await _refusal(response)
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NodeError(Fault.UNREACHABLE, type(error).__name__) from None
        except httpx.TimeoutException as error:
            raise NodeError(Fault.STALLED, f"{type(error).__name__} of {path.partition('?')[0]}") from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise NodeError(Fault.DROPPED, f"{type(error).__name__} of {path.partition('?')[0]}") from None


def _note(answer: Answer, chunk: Chunk) -> bool:
    """Add a chunk to an answer; whether it brought tokens."""
    now_s = time.monotonic()
    before = answer.output_tokens
    for choice in chunk.choices:
        answer.token_ids += choice.token_ids or []
        if choice.finish_reason is not None:
            answer.finish_reason = choice.finish_reason
        if chunk.usage is None and (choice.token_ids or choice.text):
            answer.output_tokens += len(choice.token_ids) if choice.token_ids else 1
    if chunk.usage is not None:
        if chunk.usage.completion_tokens < before:
            raise NodeError(Fault.MALFORMED, f"stream: token count fell from {before}")
        answer.prompt_tokens = chunk.usage.prompt_tokens
        answer.output_tokens = chunk.usage.completion_tokens
        details = chunk.usage.prompt_tokens_details
        if details is not None and details.cached_tokens is not None:
            answer.cached_tokens = details.cached_tokens
    if answer.token_ids and len(answer.token_ids) != answer.output_tokens:
        raise NodeError(Fault.MALFORMED, f"stream: {len(answer.token_ids)} token ids for {answer.output_tokens} tokens")
    if chunk.metrics is not None:
        answer.engine = chunk.metrics
    if answer.output_tokens == before:
        return False
    if answer.first_token_s is None:
        answer.first_token_s = now_s
    answer.last_token_s = now_s
    answer.token_s.append(now_s)
    return True


async def _bounded(response: httpx.Response, limit: int) -> bytes:
    body = b""
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > limit:
            raise NodeError(Fault.MALFORMED, f"an answer above {limit} bytes")
    return body


async def _refusal(response: httpx.Response) -> NodeError:
    try:
        said = read_wire(ErrorBody, await _bounded(response, 2**16), "error").error.message
    except NodeError:
        said = ""
    return _error_of(response.status_code, said)


def _error_of(status: int, said: str) -> NodeError:
    """The trouble that an HTTP status stands for, wherever it was written."""
    detail = f"{status} {said}".strip()
    if status in (429, 503):
        return NodeError(Fault.BUSY, detail)
    return NodeError(Fault.FAILED if status >= 500 else Fault.REFUSED, detail)


def _bearer(variable: str) -> dict[str, str]:
    if not variable:
        return {}
    key = os.environ.get(variable)
    if not key:
        raise MaestroError(f"The environment variable {variable}, named in the fleet file, holds the key; set it.")
    return {"Authorization": f"Bearer {key}"}


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise MaestroError(f"ca_file {ca_file}: cannot be read ({error}); give certificates in PEM.") from None
    return context
