"""A proxy before a real server that does to its answers what the stand-in does to its own."""

import asyncio
import json
from typing import Any

import httpx

from tests.real_backend.listener import Listener, Receive, Send, break_off, disconnected, read_body, refuse, reply

_OWN_HEADERS = ("host", "connection", "content-length", "transfer-encoding")


class FaultProxy(Listener):
    """Forwards every request; it cannot set the clock of its server, so `Faults.clock_ahead_s` says nothing here.

    Attributes:
        model: What the server serves.
    """

    def __init__(self, to_url: str, model: str = "mid") -> None:
        super().__init__()
        self.model = model
        self._to_url = to_url

    async def app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        path, query, body = scope["path"], scope["query_string"].decode(), await read_body(receive)
        if path == "/metrics" and self.faults.metrics_body is not None:
            return await reply(send, 200, self.faults.metrics_body)
        asked = self.faults.plan(headers["x-request-id"]) if path == "/v1/completions" else None
        fault, after = asked or ("", 0)
        if await refuse(send, fault):
            return None
        gone = asyncio.create_task(disconnected(receive))
        call = {
            "method": scope["method"],
            "url": f"{self._to_url}{path}?{query}",
            "headers": {name: value for name, value in headers.items() if name not in _OWN_HEADERS},
            "content": body,
        }
        work = asyncio.create_task(self._forward(call, fault, after, gone, send))
        try:
            # A caller that goes away ends the request on the server, too.
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            gone.cancel()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _forward(
        self, call: dict[str, Any], fault: str, after: int, gone: asyncio.Task[None], send: Send
    ) -> None:
        async with (
            httpx.AsyncClient(verify=False, trust_env=False, timeout=None) as client,
            client.stream(**call) as answer,
        ):
            kind = answer.headers.get("content-type", "text/plain").encode()
            status = answer.status_code
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
            tokens = 0
            async for piece in answer.aiter_lines() if fault else answer.aiter_raw():
                await asyncio.sleep(self.faults.late_s)
                if fault and tokens >= after:
                    await break_off(send, fault, gone)
                if fault:
                    said, made = _read(piece, lies=fault == "lie")
                    tokens += made
                else:
                    said = piece
                await send({"type": "http.response.body", "body": said, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def _read(line: str, *, lies: bool) -> tuple[bytes, int]:
    """A line of a stream as it goes on, its usage one too high if it is to lie, and the number of its tokens."""
    if not line.startswith("data: {"):
        return f"{line}\n".encode(), 0
    event = json.loads(line.removeprefix("data: "))
    made = sum(len(choice.get("token_ids") or ()) for choice in event["choices"])
    if lies and event.get("usage"):
        event["usage"]["completion_tokens"] += 1
    return f"data: {json.dumps(event)}\n".encode(), made
