"""llm-d's scorer (V-2nd): a weighted sum of prefix hit, KV headroom and queue.

score = 3 * prefix hit + 2 * (1 - KV use) + 2 / (1 + waiting)
"""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import prefix_hit_tokens
from maestro_gym.scheduling.load_signals import inbound_at, kv_used_share, queued_at
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import model_of, prompt_tokens
from maestro_gym.state import View


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Minus the score, warm nodes first."""
    prefix = float(prefix_hit_tokens(view, e, node, stage)) / max(1.0, prompt_tokens(view, e, stage))
    waiting = queued_at(view, e, node) + inbound_at(view, e, node)
    score = 3.0 * prefix + 2.0 * (1.0 - kv_used_share(view, e, node)) + 2.0 / (1.0 + waiting)
    return -score + cold_cost(view, e, node, model_of(view, e, stage))


RULE = route_by(
    cost,
    name="llm-d",
    information="N",
    description="3 * prefix hit + 2 * KV headroom + 2 * queue score",
    source="llm-d scorer (V-2nd)",
    choice="queue score 1 / (1 + waiting); warm nodes first",
)
