"""Queue keys: in which order a queue of stages is served. Smaller is sooner.

An order is a pair (band, key): bands are served strictly one after the other, the key decides
inside a band, and the place in the queue decides between equal keys.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.core.hashing import RULE, uniform
from maestro_gym.scheduling.estimates import stage_service_s
from maestro_gym.state import Hidden, View

(
    ORDER_FCFS,
    ORDER_WORKFLOW_FCFS,
    ORDER_EDF,
    ORDER_SJF,
    ORDER_SRTF,
    ORDER_ORACLE_SRTF,
    ORDER_RANDOM,
    ORDER_LAS,
    ORDER_MAESTRO,
    ORDER_MAESTRO_NO_PREEMPTION,
    ORDER_CLASS_FCFS,
) = range(11)

AGING_PER_S: Final = 1.0
"""Seconds of T_rem that a second of waiting is worth (Maestro F10: alpha about 1, a modelling choice)."""

COOLDOWN_S: Final = 5.0
"""After a workflow was passed over at a boundary, its next boundary within this time is safe (F10, a choice)."""


@njit
def is_protected(view: View, e: int, stage: int) -> bool:
    """Whether the per-workflow cooldown keeps a stage from being passed over at this boundary.

    The stage that was passed over competes (with aging) like any other; it is the *next* boundary
    of its workflow that is safe when it comes within ``COOLDOWN_S``, so that one long workflow is
    not stopped again and again.
    """
    ready_s = float(view.stages[e, stage].ready_s)
    workflow = int(view.stages[e, stage].workflow)
    if int(view.workflows[e, workflow].stages_done) == 0:
        return False
    passed_over_s = float(view.workflows[e, workflow].last_preempted_s)
    return passed_over_s < ready_s and ready_s - passed_over_s < COOLDOWN_S


@njit
def order_band(view: View, e: int, stage: int, order: int) -> int:
    """Band of a stage: 0 is served first.

    Maestro keeps interactive and batch stages in separate queues, interactive first (F9); inside a
    class, stages that may not be passed over come first.
    """
    if order == ORDER_CLASS_FCFS:
        return int(view.stages[e, stage].cls)
    if order == ORDER_MAESTRO:
        return 2 * int(view.stages[e, stage].cls) + (0 if is_protected(view, e, stage) else 1)
    if order == ORDER_MAESTRO_NO_PREEMPTION:
        workflow = int(view.stages[e, stage].workflow)
        started = int(view.workflows[e, workflow].stages_done) > 0
        return 2 * int(view.stages[e, stage].cls) + (0 if started else 1)
    return 0


@njit
def order_key(view: View, oracle: Hidden, e: int, stage: int, order: int) -> float:
    """Key of a stage inside its band; only ``ORDER_ORACLE_SRTF`` touches ``oracle``.

    Returns:
        Seconds, but for ``ORDER_RANDOM`` a draw that changes from decision to decision.
    """
    now_s = float(view.clock[e].now_s)
    workflow = int(view.stages[e, stage].workflow)
    if order == ORDER_WORKFLOW_FCFS:
        return float(view.workflows[e, workflow].arrival_s)
    if order == ORDER_EDF:
        return float(view.workflows[e, workflow].deadline_s)
    if order == ORDER_SJF:
        return float(stage_service_s(view, e, stage))
    if order == ORDER_SRTF:
        return float(view.stages[e, stage].remaining_s_q50)
    if order == ORDER_ORACLE_SRTF:
        return float(oracle.truth[e, stage].remaining_s)
    if order == ORDER_RANDOM:
        decisions = int(view.clock[e].decisions)
        return uniform(int(view.clock[e].key), RULE, decisions * view.stages.shape[1] + stage)
    if order == ORDER_LAS:
        return float(view.workflows[e, workflow].attained_s)
    if order in (ORDER_MAESTRO, ORDER_MAESTRO_NO_PREEMPTION):
        wait_s = now_s - float(view.stages[e, stage].ready_s)
        return float(view.stages[e, stage].remaining_s_q50) - AGING_PER_S * wait_s
    return float(view.stages[e, stage].ready_s)


@njit
def is_sooner(band: int, key: float, best_band: int, best_key: float) -> bool:
    """Whether a stage goes before the best so far; the earlier in the queue wins a tie."""
    return band < best_band or (band == best_band and key < best_key)
