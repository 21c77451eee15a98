"""NVIDIA Dynamo's KV router (V): fewest prefill blocks to compute plus blocks in use."""

from __future__ import annotations

from maestro_gym.baselines.late_binding.choose_node import cold_cost
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import prefix_hit_tokens
from maestro_gym.scheduling.load_signals import kv_cached_at_bytes, kv_used_at_bytes
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.sizes import kv_bytes
from maestro_gym.scheduling.view import model_of, prompt_tokens
from maestro_gym.state import BLOCK_TOKENS, View


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Blocks to compute and blocks in use, warm nodes first."""
    model = model_of(view, e, stage)
    compute = prompt_tokens(view, e, stage) - float(prefix_hit_tokens(view, e, node, stage))
    active_bytes = kv_used_at_bytes(view, e, node) - kv_cached_at_bytes(view, e, node)
    blocks = (compute + active_bytes / kv_bytes(view, node, model)) / BLOCK_TOKENS
    return blocks + cold_cost(view, e, node, model)


RULE = route_by(
    cost,
    name="dynamo",
    information="N",
    description="fewest prefill blocks to compute plus active blocks",
    source="NVIDIA Dynamo KV router (V)",
    choice="warm nodes first",
)
