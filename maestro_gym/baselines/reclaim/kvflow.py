"""KVFlow's eviction (V abstract, aggregation V-2nd): whatever is needed in the most steps gives way.

    STE of a call = 0 while it waits for a node, else 1 + max of its parents that are not done     (steps to execution)
    value of an engine = min STE over the calls to come that ask for its model; the largest gives way

Source: KVFlow, arXiv 2507.07400: an agent step graph gives each agent its steps to execution, a node of the KV tree has
the least of its users', the largest is evicted. Class O: it reads the declared graph, which here is the truth about
calls that are not ready. Adapted: the KV tree's nodes are engines, for a cached prefix is no candidate and goes by its
age; the max over parents is the difference of depth to the least deep call under way, which is exact in chains and
where branches join. Prefetch of the next agents has no decision: nothing is promoted for a stage that is not there.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.reclaim.offers import age_cost, is_wanted_sleep, kind_of
from maestro_gym.baselines.reclaim.vllm import rank
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import ReclaimRule
from maestro_gym.scheduling.view import node_to_serve, now_s, slot_model
from maestro_gym.state import (
    RECLAIM_DEMOTE,
    RECLAIM_SLEEP,
    STAGE_FINISHED,
    STAGE_FUTURE,
    STAGE_QUEUED,
    Hidden,
    View,
)


@njit
def front_depth(view: View, e: int, first: int, end: int) -> int:
    """Depth of the least deep stage under way among those from ``first`` to ``end``, -1 when none is."""
    least = -1
    for stage in range(first, end):
        phase = int(view.stages[e, stage].phase)
        depth = int(view.stages[e, stage].depth)
        if phase not in (STAGE_FUTURE, STAGE_FINISHED) and (least < 0 or depth < least):
            least = depth
    return least


@njit
def steps_to_execution(view: View, oracle: Hidden, e: int, model: int) -> float:
    """Least steps until a call of a workflow in the system asks for a model; inf when none will."""
    least = math.inf
    for workflow in range(view.workflows.shape[1]):
        record = view.workflows[e, workflow]
        if not float(record.arrival_s) <= now_s(view, e) < min(float(record.finished_s), float(record.rejected_s)):
            continue
        first = int(oracle.workflows[e, workflow].first_stage)
        end = first + int(oracle.workflows[e, workflow].num_stages)
        front = front_depth(view, e, first, end)
        for stage in range(first, end):
            if int(oracle.stages[e, stage].model) != model:
                continue
            phase = int(view.stages[e, stage].phase)
            if phase == STAGE_FUTURE and front >= 0:
                least = min(least, max(1.0, float(int(oracle.stages[e, stage].depth) - front)))
            elif STAGE_FUTURE < phase <= STAGE_QUEUED:
                return 0.0
    return least


@njit
def cost(view: View, oracle: Hidden, e: int, candidate: int) -> float:
    """Minus the steps to execution of an engine that is idle or sleeps; what else is offered goes by its age."""
    if kind_of(view, e, candidate) not in (RECLAIM_SLEEP, RECLAIM_DEMOTE) or is_wanted_sleep(view, e, candidate):
        return age_cost(view, e, candidate)
    model = slot_model(view, e, node_to_serve(view, e), int(view.reclaim[e, candidate].slot))
    return -steps_to_execution(view, oracle, e, model)


RULE = ReclaimRule(
    rank=rank,
    oracle_cost=cost,
    name="kvflow",
    information="O",
    description="the idle model whose next use is the most steps away",
    source="KVFlow (V abstract, V-2nd)",
    choice="engines in place of KV nodes; steps by depth; no prefetch",
)
