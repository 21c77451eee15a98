"""Maestro's node fitness: largest A - T_ready - C_deg, terms normalised by frozen percentiles (F1 to F4, V-author).

The terms and their normalisation are in ``baselines/maestro/fitness.py``.
"""

from __future__ import annotations

from maestro_gym.baselines.maestro.fitness import fittest_normalised
from maestro_gym.scheduling.rules import Routing

SOURCE = "Maestro F1-F4 (V-author)"
CHOICE = "split of A (I): prefix time saved - network there and back (x 2 if interactive) - queue wait"

RULE = Routing(
    node=fittest_normalised,
    name="maestro",
    information="P",
    description="largest A - T_ready - C_deg, terms normalised by frozen percentiles",
    source=SOURCE,
    choice=CHOICE,
    rival=False,
)
