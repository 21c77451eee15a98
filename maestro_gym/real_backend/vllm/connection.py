"""How a call to a server is made: keys, certificates, time limits and retries; every failure is one kind of error."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx

from maestro_gym.config.live import ClientConfig, LiveEngineConfig, LiveFleetConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.vllm.breaker import Breaker
from maestro_gym.real_backend.vllm.keys import read_key
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError
from maestro_gym.real_backend.vllm.wire import ErrorBody, read_wire

_RETRIED = (Fault.UNREACHABLE, Fault.BUSY, Fault.FAILED, Fault.STALLED)
T = TypeVar("T")


class Connection:
    """HTTP calls to one server.

    Attributes:
        settings: The time limits, sizes and retries of the fleet file.
        breaker: The circuit breaker, which says whether the server is left alone for now.
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
        """Close all connections; the server then aborts the requests that are under way."""
        await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        limit: int | None = None,
        within_s: float | None = None,
        control: bool = False,
        **options: Any,  # noqa: ANN401 - httpx's
    ) -> bytes:
        """Make one call, and read the whole body of its answer.

        Args:
            method: The HTTP method.
            path: The path, with its query.
            limit: The largest body that is accepted [bytes]; None takes that of a stream's event.
            within_s: The longest time for all of it [s]; None takes that of control calls.
            control: Whether to send the control key in place of the key for requests.
            options: Further arguments of httpx.

        Returns:
            The body.

        Raises:
            NodeError: The call failed, took too long, or the body is too large.
        """
        headers = self._control_headers if control else {}
        within_s = within_s or self.settings.control_s
        try:
            async with asyncio.timeout(within_s), self.open(method, path, headers=headers, **options) as response:
                return await _bounded(response, limit or self.settings.max_event_bytes)
        except TimeoutError:
            raise NodeError(Fault.STALLED, f"{path.partition('?')[0]} took more than {within_s:g} s") from None

    async def call_repeated(self, method: str, path: str, timeout_s: float) -> bytes:
        """Make a control call that may be repeated until it succeeds.

        Args:
            method: The HTTP method.
            path: The path, with its query.
            timeout_s: The time limit of all attempts together.

        Returns:
            The body of the answer.

        Raises:
            NodeError: Every attempt failed.
        """

        async def attempt() -> bytes:
            return await self.call(method, path, control=True, within_s=timeout_s, timeout=httpx.Timeout(timeout_s))

        try:
            async with asyncio.timeout(timeout_s):
                return await self.retrying(attempt, lambda: True)
        except TimeoutError:
            raise NodeError(Fault.STALLED, f"{path.partition('?')[0]} took more than {timeout_s:g} s") from None

    async def retrying(self, attempt: Callable[[], Awaitable[T]], untouched: Callable[[], bool]) -> T:
        """Repeat a call while that is safe, after pauses that grow exponentially and carry jitter.

        Args:
            attempt: Makes the call.
            untouched: Says whether nothing has come of the call so far, so that it may be repeated.

        Returns:
            What the call returned.

        Raises:
            NodeError: The last attempt failed, or the circuit breaker is open.
        """
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

    @asynccontextmanager
    async def open(self, method: str, path: str, **options: Any) -> AsyncIterator[httpx.Response]:  # noqa: ANN401
        """Open a call whose body the caller reads; every failure becomes a `NodeError`.

        The words of the error hold no header and no prompt.

        Args:
            method: The HTTP method.
            path: The path, with its query.
            options: Further arguments of httpx.

        Yields:
            The response, whose status is below 300.
        """
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

    async def events(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Read the server-sent events of a response.

        Args:
            response: A response of `open`.

        Yields:
            The bytes after ``data:`` of each event.

        Raises:
            NodeError: A line is too long, or is not an event.
        """
        pending = bytearray()
        async for piece in response.aiter_raw():
            begun, end, _ = piece.rpartition(b"\n")
            lines = (bytes(pending) + begun).split(b"\n") if end else []
            if end:
                pending = bytearray(piece[len(begun) + 1 :])
            else:
                pending += piece
            if max(len(pending), *map(len, lines), 0) > self.settings.max_event_bytes:
                raise NodeError(Fault.MALFORMED, f"stream: a line above {self.settings.max_event_bytes} bytes")
            for line in lines:
                line = line.strip()
                if line.startswith(b"data:"):
                    yield line[5:].strip()
                elif line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
                    raise NodeError(Fault.MALFORMED, "stream: a line that is no event")


def error_of_status(status: int, said: str) -> NodeError:
    """Make the error that an HTTP status stands for, wherever the status was written.

    Args:
        status: The status.
        said: What the server said beside it.

    Returns:
        The error.
    """
    detail = f"{status} {said}".strip()
    if status in (429, 503):
        return NodeError(Fault.BUSY, detail)
    return NodeError(Fault.FAILED if status >= 500 else Fault.REFUSED, detail)


async def _bounded(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > limit:
            raise NodeError(Fault.MALFORMED, f"an answer above {limit} bytes")
    return bytes(body)


async def _refusal(response: httpx.Response) -> NodeError:
    try:
        said = read_wire(ErrorBody, await _bounded(response, 2**16), "error").error.message
    except NodeError:
        said = ""
    return error_of_status(response.status_code, said)


def _bearer(variable: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {read_key(variable)}"} if variable else {}


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise MaestroError(f"ca_file {ca_file}: cannot be read ({error}); give certificates in PEM.") from None
    return context
