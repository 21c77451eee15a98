"""A peer on a real socket that says what it is told to, however slowly, and never ends by itself."""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
DRIP_S = 0.02
"""Between two pieces: far below every patience between two bytes."""


class SlowPeer:
    """Answers every request with a first piece at once, and then with one of `pieces` every `DRIP_S` for ever.

    Attributes:
        requests: Requests that were begun.
    """

    def __init__(self, first: bytes, pieces: Iterable[bytes]) -> None:
        self.requests = 0
        self._first, self._pieces = first, list(pieces)
        self._ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.requests += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(1 << 16)
            connection.sendall(self._first)
            number = 0
            while not self._ended.wait(DRIP_S):
                if self._pieces:
                    connection.sendall(self._pieces[min(number, len(self._pieces) - 1)])
                    number += 1

    def end(self) -> None:
        self._ended.set()
        self._socket.close()


@contextmanager
def slow_peer(first: bytes = b"", pieces: Iterable[bytes] = ()) -> Iterator[SlowPeer]:
    """A peer that ends with the context; without words it takes requests and says nothing."""
    peer = SlowPeer(first, pieces)
    try:
        yield peer
    finally:
        peer.end()
