"""The client of one vLLM server: completions, observation and control, asynchronous, with every answer checked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from maestro_gym.config.live import ClientConfig, LiveEngineConfig, LiveFleetConfig
from maestro_gym.real_backend.vllm.breaker import Breaker
from maestro_gym.real_backend.vllm.completion import Answer, Request
from maestro_gym.real_backend.vllm.connection import Connection, error_of_status
from maestro_gym.real_backend.vllm.metrics_page import EngineGauges, read_metrics
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError
from maestro_gym.real_backend.vllm.wire import Chunk, ModelList, ServerInfo, Sleeping, Success, Version, read_wire

OnProgress = Callable[[Answer], None]


class NodeClient:
    """Calls to one server.

    Attributes:
        engine: The server, as the fleet file describes it.
        settings: The time limits, sizes and retries of the fleet file.
    """

    def __init__(
        self, fleet: LiveFleetConfig, engine: LiveEngineConfig, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            fleet: The fleet file, which names keys, certificates and time limits.
            engine: The server.
            transport: A transport to use in place of the network.

        Raises:
            MaestroError: A key or certificate that the fleet file names does not exist.
        """
        self.engine = engine
        self.settings: ClientConfig = fleet.client
        self._connection = Connection(fleet, engine, transport)

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker, which says whether the server is left alone for now."""
        return self._connection.breaker

    async def close(self) -> None:
        """Close all connections; the server then aborts the requests that are under way."""
        await self._connection.close()

    # --- completions ---------------------------------------------------------------------------

    async def complete(self, request: Request, on_progress: OnProgress | None = None) -> Answer:
        """Ask for a completion, and follow its stream to the end.

        Before the first token a full server (503) and failed connections are tried again, with pauses. After it
        nothing is repeated here, because the caller knows what the tokens so far are worth.

        Args:
            request: The completion to make.
            on_progress: Called after every token.

        Returns:
            The whole answer.

        Raises:
            NodeError: The completion failed.
        """
        answer = Answer()

        async def attempt() -> Answer:
            await self._stream(request, answer, on_progress)
            return answer

        return await self._connection.retrying(attempt, lambda: answer.output_tokens == 0)

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
        ended = False
        call = self._connection.open("POST", "/v1/completions", json=body, headers=headers, timeout=timeout)
        clock = asyncio.get_running_loop().time
        end_s = clock() + self.settings.stream_s
        # Only tokens buy time: headers, comments and empty events may come as often as they like.
        # Not wait_for: before Python 3.12 it can swallow a cancellation that meets an event.
        try:
            async with (
                asyncio.timeout_at(min(end_s, clock() + self.settings.first_token_s)) as patience,
                call as response,
            ):
                async for event in self._connection.events(response):
                    if event == b"[DONE]":
                        ended = True
                        break
                    chunk = read_wire(Chunk, event, "stream")
                    if chunk.error is not None:
                        raise error_of_status(chunk.error.code or 500, chunk.error.message)
                    if answer.add(chunk):
                        answer.check_length(request)
                        patience.reschedule(min(end_s, clock() + self.settings.stall_s))
                        if on_progress is not None:
                            on_progress(answer)
        except TimeoutError:
            raise NodeError(Fault.STALLED, self._impatience(answer, clock() >= end_s)) from None
        answer.check_complete(request, ended)

    def _impatience(self, answer: Answer, is_long: bool) -> str:
        if is_long:
            return f"not whole after {self.settings.stream_s:g} s"
        patience_s = self.settings.stall_s if answer.output_tokens else self.settings.first_token_s
        return f"no token came for {patience_s:g} s"

    # --- observation ---------------------------------------------------------------------------

    async def health(self) -> None:
        """Ask whether the server lives; raises `NodeError` when it does not."""
        await self._connection.call("GET", "/health")

    async def gauges(self) -> EngineGauges:
        """Scrape ``/metrics``."""
        return read_metrics(await self._connection.call("GET", "/metrics", limit=self.settings.max_metrics_bytes))

    async def models(self) -> ModelList:
        """Ask which models the server serves."""
        return read_wire(ModelList, await self._connection.call("GET", "/v1/models"), "/v1/models")

    async def version(self) -> str:
        """Ask for the version of vLLM."""
        return read_wire(Version, await self._connection.call("GET", "/version"), "/version").version

    async def probe_route(self, path: str) -> None:
        """GET a route with the control key and drop the answer; a refusal raises `NodeError` with its status."""
        await self._connection.call("GET", path, control=True)

    async def has_route(self, path: str) -> bool:
        """Say whether a route that changes nothing is served to this controller."""
        try:
            await self.probe_route(path)
        except NodeError as error:
            if error.fault == Fault.REFUSED:
                return False
            raise
        return True

    async def server_info(self) -> ServerInfo:
        """Ask for the configuration of the server; what it does not give, or gives in another form, stays unknown."""
        try:
            body = await self._connection.call("GET", "/server_info?config_format=json", control=True)
            return read_wire(ServerInfo, body, "/server_info")
        except NodeError as error:
            if error.fault in (Fault.REFUSED, Fault.MALFORMED):
                return ServerInfo()
            raise

    # --- control -------------------------------------------------------------------------------

    async def is_sleeping(self) -> bool:
        """Ask whether the engine sleeps."""
        body = await self._connection.call("GET", "/is_sleeping", control=True)
        return read_wire(Sleeping, body, "/is_sleeping").is_sleeping

    async def sleep(self, level: int = 1) -> None:
        """Put a drained engine to sleep: level 1 keeps the weights in host memory, level 2 drops them."""
        await self._connection.call_repeated("POST", f"/sleep?level={level}&mode=wait", self.settings.sleep_s)

    async def wake(self) -> None:
        """Wake the engine."""
        await self._connection.call_repeated("POST", "/wake_up", self.settings.sleep_s)

    async def pause(self, mode: str = "keep") -> None:
        """Freeze the engine's scheduler: ``keep`` what runs, ``wait`` until it is done, or ``abort`` it."""
        await self._connection.call_repeated("POST", f"/pause?mode={mode}", self.settings.sleep_s)

    async def resume(self) -> None:
        """Let the engine's scheduler go on after `pause`."""
        await self._connection.call_repeated("POST", "/resume", self.settings.sleep_s)

    async def reset_prefix_cache(self) -> bool:
        """Drop the cached prefixes; return False while blocks are held."""
        body = await self._connection.call("POST", "/reset_prefix_cache", control=True)
        return read_wire(Success, body, "/reset_prefix_cache").success

    async def abort(self, request_id: str) -> None:
        """Abort a request by the id that it was sent with; closing its stream does the same without this route."""
        ids = {"request_ids": [f"cmpl-{request_id}-0"]}
        await self._connection.call("POST", "/abort_requests", control=True, json=ids)

    async def load_lora(self, name: str, path: str) -> None:
        """Load an adapter, which then answers to its own model name."""
        adapter = {"lora_name": name, "lora_path": path}
        await self._connection.call("POST", "/v1/load_lora_adapter", control=True, json=adapter)

    async def unload_lora(self, name: str) -> None:
        """Unload an adapter."""
        await self._connection.call("POST", "/v1/unload_lora_adapter", control=True, json={"lora_name": name})
