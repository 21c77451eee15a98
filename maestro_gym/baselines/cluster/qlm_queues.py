"""QLM's virtual queues (V, RWT form I): the instance on which a request waits least, swaps of models included.

    RWT = sum over the requests ahead of E[output tokens] / token throughput  +  swap times of the models ahead

Source: QLM, arXiv 2407.00047 (SoCC 2024): request groups stand in a virtual queue for each instance, and the waiting
time of a request is estimated from the tokens ahead; a swap of the model costs its load. Class P: it reads predicted
output lengths. Adapted: requests ahead are those that run, too, by what is left of them; the global program over all
groups becomes the choice for one stage at a time; the order of groups is an order's, see `orders/`; eviction of running
requests has no decision (docs/baselines.md, "Not applicable").
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.estimates import ready_time_s
from maestro_gym.scheduling.load_signals import NOMINAL_BATCH
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import route_by
from maestro_gym.scheduling.view import (
    model_of,
    now_s,
    num_inbound,
    num_models,
    num_queued,
    num_slots,
    num_waiting,
    number,
    queued_stage,
    slot_running,
)
from maestro_gym.state import View

NUMBERS = (
    Number("swap_weight", "1", 0, 4, 1, "Weight of the swaps ahead against the tokens ahead; 0 is no swap cost."),
)
(SWAP_WEIGHT,) = places(NUMBERS)


@njit
def token_wait_s(view: View, e: int, stage: int) -> float:
    """What a stage adds to the wait of those behind it: its expected output by the token throughput [s]."""
    s_per_token = float(view.world.service[model_of(view, e, stage)].decode_s_per_token) / NOMINAL_BATCH
    return float(view.stages[e, stage].output_q50_tokens) * s_per_token


@njit
def running_wait_s(view: View, e: int, node: int) -> float:
    """The same of what a node runs: each stage less what it has had the time to decode at nominal speed [s]."""
    wait_s = 0.0
    for slot in range(num_slots(view)):
        for i in range(slot_running(view, e, node, slot)):
            stage = int(view.batch[e, node, slot, i])
            age_s = now_s(view, e) - float(view.stages[e, stage].admitted_s)
            wait_s += max(0.0, token_wait_s(view, e, stage) - age_s / NOMINAL_BATCH)
    return wait_s


@njit
def cost(view: View, e: int, stage: int, node: int) -> float:
    """RWT [s] of a stage behind what a node runs and what waits there; one on the way counts as the stage itself."""
    wait_s = running_wait_s(view, e, node) + num_inbound(view, e, node) * token_wait_s(view, e, stage)
    for position in range(num_queued(view, e, node)):
        wait_s += token_wait_s(view, e, queued_stage(view, e, node, position))
    mine = model_of(view, e, stage)
    for model in range(num_models(view)):
        if model == mine or num_waiting(view, e, node, model) > 0:
            wait_s += number(view, e, SWAP_WEIGHT) * float(ready_time_s(view, e, node, model))
    return wait_s


RULE = route_by(
    cost,
    numbers=NUMBERS,
    name="qlm-queues",
    information="P",
    description="least waiting time: expected output tokens ahead by throughput, and the swaps ahead",
    source="QLM (V; RWT form I)",
    choice="stage by stage, not a program over groups; throughput at the nominal batch",
)
