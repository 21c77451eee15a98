"""Maestro's node fitness with its terms in raw time, without the normalisation of F2."""

from __future__ import annotations

from maestro_gym.baselines.cluster.maestro import CHOICE, SOURCE
from maestro_gym.baselines.maestro.fitness import fittest_raw
from maestro_gym.scheduling.rules import Routing

RULE = Routing(
    node=fittest_raw,
    name="maestro-raw",
    information="P",
    description="as maestro, terms in raw time",
    source=SOURCE,
    choice=CHOICE,
    rival=False,
)
