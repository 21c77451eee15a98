"""MuxServe's ADBS (V name, detail I): engines in turn, each within its quota of the node's KV memory.

    share = KV pool * w / sum of w over the engines with work,      w = rate at the node * KV bytes of a token
    quota = KV pool - what the others hold, but their whole share where they have stages waiting

Source: MuxServe (ICML 2024): adaptive batch scheduling serves co-located models in round robin under quotas of token
blocks, first in proportion to rates, later moved to where they are used. Class N: the rate is the popularity that the
fleet was planned with, spread over the nodes that have the model. Adapted (I): blocks that an engine without waiting
stages does not use are lent at once to those with some, in place of a periodic move; the engine that admitted longest
ago is next; an engine that runs nothing may always admit one stage, so that a small quota starves nobody. Shares of SMs
are physics (`limits.gpu_sharing`).
"""

from __future__ import annotations

from maestro_gym.baselines.late_binding.holds import is_active
from maestro_gym.baselines.late_binding.serve import serve_queue
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.actions import ACT_ADMIT, WAIT, node_act
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import NodeRule, as_band, as_key
from maestro_gym.scheduling.sizes import admit_bytes, kv_bytes
from maestro_gym.scheduling.view import (
    may_wait,
    model_of,
    node_to_serve,
    num_slots,
    num_waiting,
    number,
    queued_stage,
    slot_model,
    slot_of,
    slot_running,
)
from maestro_gym.state import RESERVE_PROMPT, Hidden, View

NUMBERS = (
    Number("quota_factor", "1", 0.5, 10, 1, "Times its quota that an engine may reserve; a large one is no quota."),
)
(QUOTA_FACTOR,) = places(NUMBERS)


@njit
def weight(view: View, e: int, node: int, slot: int) -> float:
    """Demand of an engine for KV, 0 without work: its planned rate on this node times KV bytes of a token."""
    if not is_active(view, e, node, slot):
        return 0.0
    model = slot_model(view, e, node, slot)
    rate = float(view.world.models[model].popularity) / max(1, int(view.models[e, model].warm_nodes))
    return rate * kv_bytes(view, node, model)


@njit
def quota_bytes(view: View, e: int, node: int, slot: int) -> float:
    """KV bytes of a node that an engine may reserve."""
    total = 0.0
    for other in range(num_slots(view)):
        total += weight(view, e, node, other)
    pool = float(view.nodes[e, node].kv_pool_bytes)
    quota = pool
    for other in range(num_slots(view)):
        if other == slot or not is_active(view, e, node, other):
            continue
        held = float(view.engines[e, node, other].kv_reserved_bytes)
        if num_waiting(view, e, node, slot_model(view, e, node, other)) > 0:
            held = max(held, pool * weight(view, e, node, other) / max(total, 1e-300))
        quota -= held
    return quota


@njit
def over_quota(view: View, e: int, stage: int) -> int:
    """1 where the admission of a waiting stage would take its engine beyond its quota, else 0."""
    node = node_to_serve(view, e)
    slot = slot_of(view, e, node, model_of(view, e, stage))
    if slot < 0 or slot_running(view, e, node, slot) == 0:
        return 0
    held = float(view.engines[e, node, slot].kv_reserved_bytes)
    need = admit_bytes(view, e, node, stage, RESERVE_PROMPT)
    return 1 if held + need > number(view, e, QUOTA_FACTOR) * quota_bytes(view, e, node, slot) else 0


@njit
def last_admission_s(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """When the engine of a waiting stage admitted the newest stage that it runs; before all times when it runs none."""
    node = node_to_serve(view, e)
    slot = slot_of(view, e, node, model_of(view, e, stage))
    running = slot_running(view, e, node, slot) if slot >= 0 else 0
    if running == 0:
        return -1.0
    return float(view.stages[e, view.batch[e, node, slot, running - 1]].admitted_s)


@njit
def decide(view: View, oracle: Hidden, e: int) -> int:
    """Serve the queue, engines in turn; who is over the quota waits as long as waiting is legal."""
    action = serve_queue(view, oracle, e, as_band(over_quota), as_key(last_admission_s), RESERVE_PROMPT, True)
    kind, position, _ = node_act(view, action)
    if kind == ACT_ADMIT and may_wait(view, e):
        stage = queued_stage(view, e, node_to_serve(view, e), position)
        if over_quota(view, e, stage) == 1:
            return WAIT
    return action


RULE = NodeRule(
    decide=decide,
    numbers=NUMBERS,
    name="muxserve",
    information="N",
    description="engines in turn, each within its quota of the node's KV; reserves the prompt and one token",
    source="MuxServe ADBS (V name, detail I)",
    choice="shares by popularity * KV bytes of a token, lent while their engine has nothing waiting, at every decision",
)
