"""The order of the global queue at the tools too: its key, of the stage that calls, without its bands."""

from __future__ import annotations

from maestro_gym.scheduling.rules import ToolOrder

RULE = ToolOrder(
    key=None,
    name="tool-order",
    information="N",
    description="a tool serves by the key of the order of the global queue",
    source="a choice: one order for both queues",
)
