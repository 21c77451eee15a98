"""Interactive first, then FCFS among what fits, adaptive reservation (ablation of Maestro F9)."""

from __future__ import annotations

from maestro_gym.baselines.orders import class_fcfs
from maestro_gym.scheduling.rules import serve_by
from maestro_gym.state import RESERVE_ADAPTIVE

RULE = serve_by(
    class_fcfs.RULE,
    RESERVE_ADAPTIVE,
    name="class-fcfs",
    information="P",
    description="interactive first, then FCFS among what fits, adaptive reservation",
    source="ablation of Maestro F9",
    rival=False,
)
