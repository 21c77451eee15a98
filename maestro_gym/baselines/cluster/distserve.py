"""Shortest queue among nodes that prefill, then least KV memory in use among those that decode (DistServe, V)."""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import kv_used_share, stages_at
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import is_handed_over, model_of
from maestro_gym.state import View


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Stages at the node, of a stage that was handed over the share of the KV pool in use; warm nodes first."""
    load = kv_used_share(view, e, node) if is_handed_over(view, e, stage) else float(stages_at(view, e, node))
    return load + cold_cost(view, e, node, model_of(view, e, stage))


RULE = route_by(
    cost,
    name="distserve",
    information="N",
    description="shortest queue to prefill, least KV in use to decode",
    source="DistServe (OSDI 2024), section 4.3 (V)",
    choice="the load of a decoding instance is its KV memory; where nodes do both it is the shortest queue",
)
