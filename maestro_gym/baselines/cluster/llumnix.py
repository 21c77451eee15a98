"""Llumnix' dispatch: the node with the most free KV for each request, its freeness (V).

    freeness = (free KV - KV wanted by the waiting) / requests

Live migration is left out: no decision of the three tiers expresses it.
"""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import COLD_COST
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import kv_cached_at_bytes, kv_used_at_bytes, stages_at
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.sizes import kv_bytes
from maestro_gym.scheduling.view import is_warm, model_of, num_queued, prompt_tokens, queued_stage
from maestro_gym.state import View


@njit
def freeness(view: View, e: int, node: int) -> float:
    """Free KV for each request [bytes]."""
    wanted = 0.0
    for position in range(num_queued(view, e, node)):
        waiting = queued_stage(view, e, node, position)
        wanted += prompt_tokens(view, e, waiting) * kv_bytes(view, node, model_of(view, e, waiting))
    free = (
        float(view.nodes[e, node].kv_pool_bytes) - kv_used_at_bytes(view, e, node) + kv_cached_at_bytes(view, e, node)
    )
    return (free - wanted) / max(1, stages_at(view, e, node))


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Minus the freeness, warm nodes first."""
    return -freeness(view, e, node) + (0.0 if is_warm(view, e, node, model_of(view, e, stage)) else 1e6 * COLD_COST)


RULE = route_by(
    cost,
    name="llumnix",
    information="N",
    description="most free KV a request",
    source="Llumnix freeness (V), dispatch only",
    choice="waiting demand counted as prompts; warm nodes first; no live migration",
)
