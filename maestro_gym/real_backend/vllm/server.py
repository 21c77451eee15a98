"""One server as the controller sees it: its client, what it can do, whether it is up."""

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
        node: Id of its node.
        model: Id of its model.
        node_name: For words.
        engine: As the fleet file has it.
        client: Calls to it.
        can: What it can do.
        up: Whether it answers.
        wanted: Whether it should have a process now.
        gauges: Last scrape, None before the first.
        scraped_s: When, on the monotonic clock.
        metrics_lost: Whether its metrics page has vanished.
        faults: Troubles by kind.
        finished: Stages that it finished.
        times_down: How often it was lost.
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
        """Its name in the log."""
        return f"{self.node_name}/{self.engine.model}"

    def note_fault(self, error: NodeError) -> None:
        """Count a trouble."""
        self.faults[error.fault] = self.faults.get(error.fault, 0) + 1

    def hold_off(self) -> None:
        """It went down: stay away for longer each time that it has finished nothing in between."""
        self.times_down += 1
        self._hold_s = min(_HOLD_MAX_S, max(self.client.settings.breaker_open_s, 2.0 * self._hold_s))
        self._held_until_s = time.monotonic() + self._hold_s

    def did_well(self) -> None:
        """It finished a stage: forget earlier trouble."""
        self.finished += 1
        self._hold_s = 0.0

    async def look(self) -> None:
        """Scrape it, or where it has no metrics ask for its health; raises `NodeError` when it is not well.

        A server that comes back must also serve the right model.
        """
        if self.can.metrics:
            try:
                self.gauges = await self.client.gauges()
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
