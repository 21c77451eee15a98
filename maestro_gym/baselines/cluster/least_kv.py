"""Smallest share of the KV pool in use (AIBrix least-kv-cache, V), warm nodes first."""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import kv_used_share
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import model_of
from maestro_gym.state import View


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Share of the KV pool that is mapped, warm nodes first."""
    return kv_used_share(view, e, node) + cold_cost(view, e, node, model_of(view, e, stage))


RULE = route_by(
    cost,
    name="least-kv",
    information="N",
    description="smallest share of the KV pool in use",
    source="AIBrix least-kv-cache (V)",
)
