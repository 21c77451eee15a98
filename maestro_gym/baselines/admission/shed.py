"""Probabilistic shedding: the fuller the fleet, the likelier a newcomer of the droppable class is turned away (V-2nd).

    p = min(factor * saturation^power, 1), factor = 300, power = 5

    saturation = max(waiting stages a node / queue_threshold, used share of KV / kv_threshold)

An inference gateway's law, measured on real servers: the p90 of critical requests falls, at 5 to 19 points more shed.
The draw belongs to the workflow: the more is shed, the larger is one and the same set.
"""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.core.hashing import ADMISSION as PURPOSE
from maestro_gym.core.hashing import uniform
from maestro_gym.scheduling.load_signals import kv_used_share
from maestro_gym.scheduling.numbers import Number, places
from maestro_gym.scheduling.rules import ADMITS, REJECTS, admit_by
from maestro_gym.scheduling.view import (
    class_of,
    has_just_arrived,
    num_inbound,
    num_nodes,
    num_queued,
    num_ready,
    number,
    workflow_of,
)
from maestro_gym.state import BATCH, View

NUMBERS = (
    Number("factor", "1", 0, 1000, 300, "Factor of the probability."),
    Number("power", "1", 1, 10, 5, "Power of the saturation in it."),
    Number("queue_threshold", "stages/node", 0.5, 64, 5, "Waiting stages a node that count as full."),
    Number("kv_threshold", "1", 0.1, 1, 0.8, "Share of KV memory in use that counts as full."),
    Number("interactive_too", "flag", 0, 1, 0, "Above 0.5 interactive workflows are droppable as well."),
)
FACTOR, POWER, QUEUE_THRESHOLD, KV_THRESHOLD, INTERACTIVE_TOO = places(NUMBERS)


@njit
def saturation_of(view: View, e: int, queue_threshold: float, kv_threshold: float) -> float:
    """How full the fleet is: 1 at a threshold of waiting stages a node, or of the used share of KV."""
    waiting, used = float(num_ready(view, e)), 0.0
    for node in range(num_nodes(view)):
        waiting += num_queued(view, e, node) + num_inbound(view, e, node)
        used += kv_used_share(view, e, node)
    return max(waiting / queue_threshold, used / kv_threshold) / num_nodes(view)


@njit
def saturation(view: View, e: int) -> float:
    """How full the fleet is by the rule's thresholds."""
    return saturation_of(view, e, number(view, e, QUEUE_THRESHOLD), number(view, e, KV_THRESHOLD))


@njit
def probability(view: View, e: int) -> float:
    """That a droppable newcomer is turned away now."""
    return min(1.0, number(view, e, FACTOR) * saturation(view, e) ** number(view, e, POWER))


@njit
def verdict(view: View, e: int, stage: int) -> int:
    """``REJECTS`` a droppable newcomer with that probability, ``ADMITS`` all others."""
    droppable = class_of(view, e, stage) == BATCH or number(view, e, INTERACTIVE_TOO) > 0.5
    if not droppable or not has_just_arrived(view, e, stage):
        return ADMITS
    draw = uniform(int(view.clock[e].key), PURPOSE, workflow_of(view, e, stage))
    return REJECTS if draw < probability(view, e) else ADMITS


RULE = admit_by(
    verdict,
    numbers=NUMBERS,
    name="shed",
    information="N",
    description="turns newcomers of the batch class away at random, the likelier the fuller the fleet",
    source="probabilistic shedding of an inference gateway (V-2nd)",
    choice="droppable is the batch class; the global queue counts as waiting; thresholds of 5 stages and 0.8 of KV",
)
