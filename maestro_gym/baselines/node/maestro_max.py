"""Maestro without predicted reservation: the whole output limit is reserved (ablation of F7)."""

from __future__ import annotations

from maestro_gym.baselines.orders import maestro
from maestro_gym.scheduling.rules import serve_by
from maestro_gym.state import RESERVE_MAX

RULE = serve_by(
    maestro.RULE,
    RESERVE_MAX,
    name="maestro-max",
    information="P",
    description="as maestro, but prompt + max_output_tokens are reserved",
    source="ablation of Maestro F7",
    rival=False,
)
