"""Interactive first, then FCFS among what fits, the whole output limit reserved (ablation of Maestro F7 and F9)."""

from __future__ import annotations

from maestro_gym.baselines.orders import class_fcfs
from maestro_gym.scheduling.rules import serve_by
from maestro_gym.state import RESERVE_MAX

RULE = serve_by(
    class_fcfs.RULE,
    RESERVE_MAX,
    name="class-fcfs-max",
    information="N",
    description="interactive first, then FCFS among what fits, prompt + max_output_tokens reserved",
    source="ablation of Maestro F7 and F9",
    rival=False,
)
