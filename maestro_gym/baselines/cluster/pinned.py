"""Join the shortest queue among the nodes that the model is pinned to (Maestro's No-Colocation baseline)."""

from __future__ import annotations

from maestro_gym.baselines.cluster.jsq import cost
from maestro_gym.scheduling.rules import HOME, route_by

RULE = route_by(
    cost,
    gate=HOME,
    name="pinned",
    information="N",
    description="jsq among the nodes that the model is pinned to",
    source="Maestro's No-Colocation baseline",
    choice="models dealt to nodes in a snake by popularity; with more models than nodes they take turns",
    rival=False,
)
