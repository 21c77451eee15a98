"""A server on loopback in a thread of its own, which can die and come back, and how its answers go wrong."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

import uvicorn

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class Faults:
    """What is to go wrong; each is asked or read at the moment it matters.

    A plan gets a request's id and returns None or one of: ``("drop", tokens)``, ``("garbage", tokens)``,
    ``("hang", tokens)``, ``("busy", 0)``, ``("error", 0)``, ``("lie", 0)`` (wrong token counts). What is asked
    for at a path in ``silent`` never comes, every piece of a stream comes by ``late_s`` later.
    """

    plan: Callable[[str], tuple[str, int] | None] = lambda _: None
    metrics: bool = True
    metrics_body: bytes | None = None
    silent: tuple[str, ...] = ()
    clock_ahead_s: float = 0.0
    late_s: float = 0.0


class _Uvicorn(uvicorn.Server):
    """Dies at once when it is told to, where uvicorn says good-bye to every connection and waits."""

    async def main_loop(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(0.005)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # The loop closes what was aborted in its next round.
        await asyncio.sleep(0)


class Listener:
    """A context manager that listens; a subclass answers.

    Attributes:
        port: Where it listens; after `stop` it comes back at the same.
        faults: What is to go wrong.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.faults = Faults()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen."""
        config = uvicorn.Config(
            self.app, host="127.0.0.1", port=self.port, log_level="critical", lifespan="off", interface="asgi3"
        )
        self._server = _Uvicorn(config)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.002)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def _serve(self) -> None:
        async def main() -> None:
            beside = asyncio.create_task(self.beside())
            await self._server.serve()
            beside.cancel()

        asyncio.run(main())

    def stop(self) -> None:
        """Die: connections are cut, as if the process had been killed."""
        self._server.should_exit = True
        self._thread.join(timeout=60)

    async def beside(self) -> None:
        """What runs beside the answers until it dies."""

    async def app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        raise NotImplementedError


async def read_body(receive: Receive) -> bytes:
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            return body


async def disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_event(send: Send, content: dict[str, Any]) -> None:
    await send({"type": "http.response.body", "body": f"data: {json.dumps(content)}\n\n".encode(), "more_body": True})


async def send_json(send: Send, status: int, content: dict[str, Any]) -> None:
    await reply(send, status, json.dumps(content).encode(), "application/json")


async def reply(send: Send, status: int, body: bytes, kind: str = "text/plain") -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, fault: str) -> bool:
    """Answer a request that is to fail before anything is made of it; whether it is one."""
    if fault == "busy":
        # As vLLM does: the stream has begun, and holds the refusal.
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send_event(send, {"error": {"message": "The engine is currently busy", "code": 503}})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
    elif fault == "error":
        await send_json(send, 500, {"error": {"message": "internal", "code": 500}})
    else:
        return False
    return True


async def break_off(send: Send, fault: str, gone: asyncio.Task[None]) -> None:
    """End a stream in its midst, if it is to."""
    if fault == "hang":
        await gone
    if fault == "garbage":
        await send({"type": "http.response.body", "body": b'data: {"choices": [{"index"\n\n', "more_body": True})
    if fault in ("drop", "hang", "garbage"):
        raise ConnectionAbortedError
