"""The port on which a live run's metrics are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from maestro_gym.core.errors import MaestroError


@contextmanager
def metrics_port(registry: CollectorRegistry, port: int | None, host: str) -> Iterator[int | None]:
    """Serve a page of metrics for as long as the context lasts, in threads of their own.

    Args:
        registry: What the page is made of.
        port: The port; 0 takes any that is free, None serves nothing.
        host: The address to listen on.

    Yields:
        The port; None when nothing is served.

    Raises:
        MaestroError: The port cannot be had.
    """
    if port is None:
        yield None
        return
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise MaestroError(
            f"--metrics-port {port}: {host} cannot be listened on there ({error.strerror}). Name another port, or "
            "end what holds this one."
        ) from None
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
