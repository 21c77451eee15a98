"""One server as the controller sees it: its client, what it can do, and whether it is up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from maestro_gym.config.live import LiveEngineConfig
from maestro_gym.real_backend.vllm.capabilities import Capabilities
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.metrics_page import EngineGauges
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError

_HOLD_MAX_S = 30.0


@dataclass
class Server:
    """A server of the fleet during a run.

    Attributes:
        node: The id of the node.
        model: The id of the model.
        node_name: The name of the node, for messages.
        engine: The server, as the fleet file describes it.
        client: The client that makes calls to the server.
        can: What the server can do.
        up: Whether the server answers.
        wanted: Whether the server should have a process now.
        gauges: The latest scrape; None before the first.
        scraped_s: The monotonic clock at the latest scrape.
        metrics_lost: Whether the metrics page has vanished.
        faults: The number of troubles of each kind.
        finished: The number of stages that the server finished.
        times_down: How often the server was lost.
    """

    node: int
    model: int
    node_name: str
    engine: LiveEngineConfig
    client: NodeClient
    can: Capabilities = field(default_factory=Capabilities)
    up: bool = True
    wanted: bool = True
    gauges: EngineGauges | None = None
    scraped_s: float = 0.0
    metrics_lost: bool = False
    faults: dict[str, int] = field(default_factory=dict)
    finished: int = 0
    times_down: int = 0
    _hold_s: float = 0.0
    _held_until_s: float = 0.0

    @property
    def words(self) -> str:
        """The name of the server in the log."""
        return f"{self.node_name}/{self.engine.model}"

    def note_fault(self, error: NodeError) -> None:
        """Count a trouble with the server."""
        self.faults[error.fault] = self.faults.get(error.fault, 0) + 1

    def hold_off(self) -> None:
        """Leave a server that went down alone, longer each time that it finished nothing in between."""
        self.times_down += 1
        self._hold_s = min(_HOLD_MAX_S, max(self.client.settings.breaker_open_s, 2.0 * self._hold_s))
        self._held_until_s = time.monotonic() + self._hold_s

    def did_well(self) -> None:
        """Count a stage that the server finished, and forget earlier trouble."""
        self.finished += 1
        self._hold_s = 0.0

    async def look(self) -> None:
        """Scrape the server, or ask for its health where it has no metrics.

        A server that comes back must also serve the right model.

        Raises:
            NodeError: The server is not well.
        """
        if self.can.metrics:
            try:
                self.gauges = await self.client.gauges()
                if self.gauges.kv_usage is None:
                    raise NodeError(Fault.MALFORMED, "/metrics: kv_cache_usage_perc is there no more")
                self.scraped_s = time.monotonic()
                self.metrics_lost = False
            except NodeError as error:
                if error.fault not in (Fault.REFUSED, Fault.MALFORMED):
                    raise
                self.metrics_lost = True
                await self.client.health()
        else:
            await self.client.health()
        if not self.up:
            if time.monotonic() < self._held_until_s:
                raise NodeError(Fault.LEFT_ALONE, "held off after failures")
            served = [card.id for card in (await self.client.models()).data]
            if self.engine.model not in served:
                raise NodeError(Fault.REFUSED, f"serves {', '.join(served)[:100]}")
