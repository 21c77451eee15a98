"""The address of the page: a server that only this machine reaches, and that knows two names."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from maestro_gym.core.errors import MaestroError

EPISODES = "/episodes.json"
_HOST = "127.0.0.1"

# Nothing of elsewhere is loaded, and nothing is sent elsewhere.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"


def watch_page() -> str:
    """The page: one HTML document that asks for nothing but `EPISODES`."""
    environment = Environment(
        loader=PackageLoader("maestro_gym.evaluation.watch", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("watch.html.j2").render(episodes=EPISODES)


@contextmanager
def serve(document: Callable[[], dict[str, Any]], port: int = 0) -> Iterator[str]:
    """Serve the page on the loopback address as long as the context lasts.

    Args:
        document: Called at every request for the episodes; as of `watch_document`.
        port: Where; 0: any that is free.

    Yields:
        The page's address.

    Raises:
        MaestroError: The port cannot be had.
    """
    page = watch_page().encode()

    class Handler(BaseHTTPRequestHandler):
        """Answers for the page and its episodes."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            # Another site's page can make a browser ask 127.0.0.1 under that site's name.
            port = _port(self.server)
            if self.headers.get("Host") not in (f"{_HOST}:{port}", f"localhost:{port}"):
                self.send_error(HTTPStatus.FORBIDDEN)
                return
            path = self.path.partition("?")[0]
            if path == "/":
                self._answer(page, "text/html; charset=utf-8")
            elif path == EPISODES:
                try:
                    content = json.dumps(document(), separators=(",", ":"), allow_nan=False)
                except MaestroError as error:
                    self._answer(str(error).encode(), "text/plain; charset=utf-8", HTTPStatus.CONFLICT)
                    return
                self._answer(content.encode(), "application/json")
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _answer(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            same = status == HTTPStatus.OK and self.headers.get("If-None-Match") == tag
            body = b"" if same else gzip.compress(content, compresslevel=4, mtime=0)
            self.send_response(HTTPStatus.NOT_MODIFIED if same else status)
            for name, value in (
                ("Content-Type", kind),
                ("Content-Encoding", "gzip"),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", _POLICY),
                ("X-Content-Type-Options", "nosniff"),
                ("Cache-Control", "no-cache"),
                ("ETag", tag),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the terminal belongs to the verb."""

    try:
        server = ThreadingHTTPServer((_HOST, port), Handler)
    except OSError as error:
        raise MaestroError(
            f"--port {port}: cannot be had ({error.strerror}); leave it out, or name another."
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="watch", daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{_port(server)}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _port(server: Any) -> int:  # noqa: ANN401 - socketserver's
    return server.server_address[1]
