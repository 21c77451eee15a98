"""Torpor's eviction (V-2nd): the model with the least load and interference burden gives way.

    burden = (1 + demand for each node that has the model) * time to bring it back       [s]

Source: Torpor, arXiv 2306.03622 (USENIX ATC 2025), in a third party's words "evict lowest load + interference burden".
Class N. Adapted (I): the load is the stages that wait for the model, in the global queue or at nodes, for each node
that has it; the interference of a swap is the time that its copy takes. A model that stages wait for on this node is
spared as under all reclaim rules here, and running stages give way in vLLM's order.
"""

from __future__ import annotations

from maestro_gym.baselines.reclaim.offers import age_cost, is_wanted_sleep, kind_of
from maestro_gym.baselines.reclaim.vllm import rank
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_times import load_s, wake_s
from maestro_gym.scheduling.rules import reclaim_by
from maestro_gym.scheduling.view import node_to_serve, slot_model
from maestro_gym.state import CPU, RECLAIM_DEMOTE, RECLAIM_SLEEP, View


@njit
def demand(view: View, e: int, model: int) -> float:
    """Stages that wait for a model, for each node that has it."""
    record = view.models[e, model]
    return (int(record.ready) + int(record.waiting)) / max(1, int(record.warm_nodes))


@njit
def cost(view: View, e: int, candidate: int) -> float:
    """Burden [s] of an engine that is idle or sleeps; what else is offered goes by its age."""
    kind = kind_of(view, e, candidate)
    if kind not in (RECLAIM_SLEEP, RECLAIM_DEMOTE) or is_wanted_sleep(view, e, candidate):
        return age_cost(view, e, candidate)
    node = node_to_serve(view, e)
    model = slot_model(view, e, node, int(view.reclaim[e, candidate].slot))
    back_s = wake_s(view, node, model)
    if kind == RECLAIM_DEMOTE:
        back_s = load_s(view, node, model, CPU) - back_s
    return (1.0 + demand(view, e, model)) * back_s


RULE = reclaim_by(
    rank,
    cost,
    name="torpor-evict",
    information="N",
    description="the idle model with the least demand times time to bring it back",
    source="Torpor (V-2nd)",
    choice="burden (I): (1 + waiting stages for each node with the model) * swap time",
)
