"""What reclaim rules ask of a candidate.

All of them spare models that have stages waiting on the node while another choice exists: putting those to sleep only
moves the shortage.
"""

from __future__ import annotations

import math
from typing import Final

from maestro_gym.baselines.late_binding.room import oldest_waiting_s
from maestro_gym.core.compile import njit
from maestro_gym.scheduling.view import node_to_serve, slot_model
from maestro_gym.state import RECLAIM_SLEEP, STAGE_DELIVERY, STAGE_GAP, STAGE_TOOL, View

RANK_IDLE, RANK_WANTED, RANK_SLEEPER = range(3)
"""First to last: to put an engine to sleep that nobody waits for, one that is waited for, to end a sleeper."""

LAST: Final = 3


@njit
def kind_of(view: View, e: int, candidate: int) -> int:
    """One of ``RECLAIM_*``."""
    return int(view.reclaim[e, candidate].kind)


@njit
def wanted_since_s(view: View, e: int, candidate: int) -> float:
    """When the oldest stage that waits for the model of a candidate became ready; inf when none waits."""
    node = node_to_serve(view, e)
    return oldest_waiting_s(view, e, node, slot_model(view, e, node, int(view.reclaim[e, candidate].slot)))


@njit
def sleep_rank(view: View, e: int, candidate: int) -> int:
    """Rank of putting an engine to sleep."""
    return RANK_WANTED if wanted_since_s(view, e, candidate) < math.inf else RANK_IDLE


@njit
def is_wanted_sleep(view: View, e: int, candidate: int) -> bool:
    """Whether a candidate would put an engine to sleep that stages wait for."""
    return kind_of(view, e, candidate) == RECLAIM_SLEEP and wanted_since_s(view, e, candidate) < math.inf


@njit
def pauses_on(view: View, e: int, stage: int, node: int, model: int) -> bool:
    """Whether a session pauses on the engine of a model: a stage ran there, and its answer or tool is under way."""
    record = view.stages[e, stage]
    if int(record.phase) not in (STAGE_DELIVERY, STAGE_TOOL, STAGE_GAP):
        return False
    return int(record.model) == model and int(record.node) == node


@njit
def age_cost(view: View, e: int, candidate: int) -> float:
    """Least recently used engine first, last admitted stage first; of wanted engines the youngest demand."""
    if is_wanted_sleep(view, e, candidate):
        return -wanted_since_s(view, e, candidate)
    record = view.reclaim[e, candidate]
    if int(record.stage) >= 0:
        return -float(view.stages[e, int(record.stage)].admitted_s)
    return float(record.last_used_s)
