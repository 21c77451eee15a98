"""Maestro: its order among what fits, reservation (1 + rho), promotion of wanted models, draining (F7 to F9)."""

from __future__ import annotations

from maestro_gym.baselines.orders import maestro
from maestro_gym.scheduling.rules import serve_by
from maestro_gym.state import RESERVE_ADAPTIVE

RULE = serve_by(
    maestro.RULE,
    RESERVE_ADAPTIVE,
    name="maestro",
    information="P",
    description="global order among what fits, reservation (1 + rho), promotion of wanted models, draining",
    source="Maestro F7-F9 (V-author)",
    choice="patience before engines drain: max(2 s, T_ready)",
    rival=False,
)
