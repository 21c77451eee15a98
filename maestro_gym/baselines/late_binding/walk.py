"""A walk along the global queue past the stages of closed models and past blocks that hold nothing sooner.

It merges the lists of the models that are not marked as closed.

``view.scratch`` holds the next stage of every model that is not marked as closed, as a heap by rank in the queue, their
number in its first cell. Where no lists are kept, the walk meets every stage of the queue.
"""

from __future__ import annotations

import math

from maestro_gym.baselines.late_binding.bounds import Keys, first_promising
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.sets import has_sets
from maestro_gym.scheduling.view import model_of, num_models, num_ready, ready_stage
from maestro_gym.state import Hidden, View


@njit
def closed_to_others(closed: float) -> float:
    """The mark of a model that nobody is open to but for pressing stages, beside the mark of a closed one."""
    return closed + 1.0


@njit
def first_to_try(view: View, e: int, closed: float) -> int:
    """The first stage of the queue whose model is not marked, -1 when there is none."""
    scratch = view.scratch[e]
    if not has_sets(view, e):
        scratch[0] = 0
        return ready_stage(view, e, 0) if num_ready(view, e) > 0 else -1
    count = 0
    for model in range(num_models(view)):
        if view.ready_first[e, model] >= 0 and view.model_memory[e, model] != closed:
            count += 1
            scratch[count] = view.ready_first[e, model]
    scratch[0] = count
    for at in range(count // 2, 0, -1):
        _sink(view, e, at)
    return int(scratch[1]) if count > 0 else -1


@njit
def next_to_try(
    view: View, oracle: Hidden, e: int, stage: int, closed: float, keys: Keys, best_band: int, best_key: float
) -> int:
    """The next stage of the queue whose model is not marked and which may be sooner, -1 when there is none.

    Args:
        view: What a scheduler sees.
        oracle: The true future, empty but for oracle policies.
        e: Environment.
        stage: The stage that the walk is at; its model may have been marked since.
        closed: The mark; of models that are open to pressing stages alone it is `closed_to_others`.
        keys: The order.
        best_band: Band of the best so far.
        best_key: Its key, inf while there is none.
    """
    scratch = view.scratch[e]
    if not has_sets(view, e):
        scratch[0] += 1
        return ready_stage(view, e, int(scratch[0])) if scratch[0] < num_ready(view, e) else -1
    after = int(view.ready_next[e, stage])
    mark = float(view.model_memory[e, model_of(view, e, stage)])
    is_closed, pressing = mark == closed, mark == closed_to_others(closed)
    if not is_closed and keys.slope > -math.inf and (pressing or best_key < math.inf):
        after = first_promising(view, oracle, e, after, keys, pressing, best_band, best_key)
    if after < 0 or is_closed:
        after = int(scratch[scratch[0]])
        scratch[0] -= 1
    if scratch[0] == 0:
        return -1
    scratch[1] = after
    _sink(view, e, 1)
    return int(scratch[1])


@njit
def _sink(view: View, e: int, at: int) -> None:
    """Let the stage in a cell of the heap sink to where those below come later in the queue."""
    scratch, count = view.scratch[e], int(view.scratch[e, 0])
    stage = int(scratch[at])
    while 2 * at <= count:
        child = 2 * at
        if child < count and view.ready_rank[e, scratch[child + 1]] < view.ready_rank[e, scratch[child]]:
            child += 1
        if view.ready_rank[e, stage] < view.ready_rank[e, scratch[child]]:
            break
        scratch[at] = scratch[child]
        at = child
    scratch[at] = stage
