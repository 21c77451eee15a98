"""SRTF with relegation: shortest T_rem first, but what can no longer be in time goes behind all that can.

    band = [deadline - now - stretch * T_rem < margin], key = T_rem

T_rem is Maestro's F5, the relegation QoServe's (arXiv 2503.22562, V); its numbers are those of ``edf_relegation``.
"""

from __future__ import annotations

from maestro_gym.baselines.orders import edf_relegation, srtf
from maestro_gym.scheduling.rules import keeps, order_by

RULE = order_by(
    srtf.key,
    band=edf_relegation.band,
    slope=keeps,
    numbers=edf_relegation.NUMBERS,
    name="srtf-relegation",
    information="P",
    description="shortest predicted T_rem first; what can no longer be in time goes last",
    source="Maestro F5 without classes, relegation of QoServe, arXiv 2503.22562 (V)",
    choice="in time: deadline - now - T_rem is at least 0",
)
