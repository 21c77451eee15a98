"""Earliest deadline first at the tools, by the deadline of the workflow (textbook)."""

from __future__ import annotations

from maestro_gym.baselines.orders.edf import key
from maestro_gym.scheduling.rules import give_by

RULE = give_by(
    key,
    name="tool-edf",
    information="N",
    description="a tool serves the workflow with the earliest deadline",
    source="textbook",
)
