"""EDF among what fits, with the adaptive reservation (textbook)."""

from __future__ import annotations

from maestro_gym.baselines.orders import edf
from maestro_gym.scheduling.rules import serve_by
from maestro_gym.state import RESERVE_ADAPTIVE

RULE = serve_by(
    edf.RULE,
    RESERVE_ADAPTIVE,
    name="edf",
    information="P",
    description="EDF among what fits, adaptive reservation",
    source="textbook",
    table_name="edf-node",
)
