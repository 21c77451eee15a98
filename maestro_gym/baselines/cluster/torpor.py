"""Torpor's placement (V-2nd): by residency first, then by load and interference.

    (residency of the model: RUNNING < loading < SLEEPING < CPU < disk < remote,  stages + loads under way)

Source: Torpor, arXiv 2306.03622 (USENIX ATC 2025): models stay in main memory, requests bind late to a GPU that has the
model, else to one where a swap disturbs least; the lexicographic form is a third party's. Class N. Adapted: its GPUs of
one server are the nodes of the fleet; interference is the number of engines that the node is loading, whose copies
share its PCIe. What it evicts is `torpor-evict`.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import model_of, num_slots, number, slot_of, slot_status
from maestro_gym.state import CPU, ENGINE_ASLEEP, ENGINE_AWAKE, ENGINE_LOADING, View

NUMBERS = (Number("interference", "stages", 0, 16, 1, "Stages that a load under way at a node counts as."),)
(INTERFERENCE,) = places(NUMBERS)

RANK_COST: Final = 1e6
"""Cost of one rank of residency: above every load."""


@njit
def residency_rank(view: View, e: int, node: int, model: int) -> int:
    """0 where a model is RUNNING, 1 loading, 2 SLEEPING, then 3 and more by where its weights are outside the GPUs."""
    slot = slot_of(view, e, node, model)
    if slot >= 0:
        status = slot_status(view, e, node, slot)
        if status == ENGINE_AWAKE:
            return 0
        if status == ENGINE_LOADING:
            return 1
        if status == ENGINE_ASLEEP:
            return 2
    return 3 + CPU - int(view.host_models[e, int(view.world.nodes[node].host), model].tier)


@njit
def loads_under_way(view: View, e: int, node: int) -> int:
    """Engines that a node is loading."""
    count = 0
    for slot in range(num_slots(view)):
        if slot_status(view, e, node, slot) == ENGINE_LOADING:
            count += 1
    return count


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """Residency first, then stages at the node and loads under way there."""
    rank = residency_rank(view, e, node, model_of(view, e, stage))
    return RANK_COST * rank + stages_at(view, e, node) + number(view, e, INTERFERENCE) * loads_under_way(view, e, node)


RULE = route_by(
    cost,
    numbers=NUMBERS,
    name="torpor",
    information="N",
    description="best residency, then fewest stages and loads under way",
    source="Torpor (V-2nd)",
    choice="interference is the engines that the node loads",
)
