"""Continuum's time to live of a context (V abstract, form V-2nd): it is held for as long as that pays.

    TTL = argmax_t  P(the tool returns by t) * (prefill of the context) - price * (share of memory) * t
        = gap * ln(back / (price * share * gap)), at least 0, for gaps that are exponential with mean `gap`       (D)

Source: Continuum, arXiv 2511.02230. Class N: the mean gap is learned from the gaps so far, waits for a place of a tool
included, as `reclaim/continuum_ttl.py` has it. The price of memory is a number: what holding all of a node's memory for
a second delays others. A context whose TTL is 0 stays in the cache.
"""

from __future__ import annotations

from maestro_gym.baselines.reclaim.continuum_ttl import NUMBERS, PRICE, mean_gap_s, ttl_s
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import hold_code
from maestro_gym.scheduling.rules import hold_by
from maestro_gym.scheduling.sizes import kv_bytes
from maestro_gym.scheduling.tool_view import context_tokens
from maestro_gym.scheduling.view import number
from maestro_gym.state import View


@njit
def fate(view: View, e: int, stage: int, node: int) -> int:
    """Held for the TTL."""
    record = view.stages[e, stage]
    model = int(record.model)
    tokens = context_tokens(view, e, stage)
    share = tokens * kv_bytes(view, node, model) / max(1.0, float(view.world.nodes[node].hbm_pool_bytes))
    back_s = tokens * float(view.world.service[model].prefill_s_per_token)
    return hold_code(ttl_s(mean_gap_s(view, e), back_s, number(view, e, PRICE) * share))


RULE = hold_by(
    fate,
    numbers=NUMBERS,
    name="kv-continuum",
    information="N",
    description="a context is held for a time to live by the gaps so far, its prefill and the price of memory",
    source="Continuum, arXiv 2511.02230 (V abstract, form V-2nd)",
    choice="exponential gaps learned from the past; price (I) is a number",
)
