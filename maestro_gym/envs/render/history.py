"""The last minute of one environment: what a picture needs of it, in columns of equal length of time."""

from __future__ import annotations

import numpy as np

from maestro_gym.state import (
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_FREE,
    ENGINE_LOADING,
    STAGE_DELIVERY,
    STAGE_FINISHED,
    STAGE_FUTURE,
    STAGE_RUNNING,
    View,
)

SPAN_S = 60.0
"""Simulated time that a history holds."""

NOTHING, ASLEEP, LOADING, IDLE = range(4)
"""What a model does on a node; IDLE + n is a batch that fills n of BATCH_SHADES shares of the greatest batch."""

BATCH_SHADES = 16
"""Shades of a batch, by the logarithm of its size: the step from 1 to 2 stages is seen better than from 101 to 102."""


def column_type(num_nodes: int, num_models: int) -> np.dtype:
    """What one column holds.

    Args:
        num_nodes: N.
        num_models: M.

    Returns:
        ``codes`` (N, M), see NOTHING to IDLE; ``queued`` (N,), stages that wait at a node or are on their way to it;
        and the numbers of ``ready`` stages and of workflows ``present``, ``at_risk`` and ``late``.
    """
    return np.dtype(
        [
            ("codes", np.uint8, (num_nodes, num_models)),
            ("queued", np.int32, (num_nodes,)),
            ("ready", np.int32),
            ("present", np.int32),
            ("at_risk", np.int32),
            ("late", np.int32),
        ]
    )


class History:
    """A ring of columns over the last `SPAN_S` seconds.

    A column shows the last state that was noted in its time. What happens between two notes is not known: their
    columns show the earlier one.
    """

    def __init__(self, num_columns: int, num_nodes: int, num_models: int) -> None:
        """Begin empty.

        Args:
            num_columns: T, columns of `SPAN_S` seconds together.
            num_nodes: N.
            num_models: M.
        """
        self._ring = np.zeros(num_columns, column_type(num_nodes, num_models))
        self._newest = -1

    @property
    def newest(self) -> int:
        """Number of the newest column, counted from the start of the episode; -1 when nothing was noted."""
        return self._newest

    def clear(self) -> None:
        """Forget everything."""
        self._ring[:] = 0
        self._newest = -1

    def note(self, view: View, e: int, *, predictions: bool) -> None:
        """Keep what is now.

        Args:
            view: The view of a batch.
            e: The environment.
            predictions: Whether predictions may be used; see `workflow_counts`.
        """
        size = len(self._ring)
        number = int(float(view.clock[e]["now_s"]) * size / SPAN_S)
        if self._newest >= 0:
            passed = np.arange(max(self._newest + 1, number - size + 1), number)
            self._ring[passed % size] = self._ring[self._newest % size]
        self._newest = number
        column = self._ring[number % size]
        column["codes"] = residency_codes(view, e)
        column["queued"] = view.nodes[e]["queue_len"] + view.nodes[e]["inbound"]
        column["ready"] = view.clock[e]["global_len"]
        column["present"], column["at_risk"], column["late"] = workflow_counts(view, e, predictions=predictions)

    def columns(self) -> np.ndarray:
        """The columns from the oldest to the newest, of `column_type`, shape (T,)."""
        size = len(self._ring)
        return self._ring[np.arange(self._newest + 1, self._newest + 1 + size) % size]


def residency_codes(view: View, e: int) -> np.ndarray:
    """What every model does on every node.

    Args:
        view: The view of a batch.
        e: The environment.

    Returns:
        Array of uint8, shape (N, M): NOTHING, ASLEEP, LOADING, IDLE, or more by the size of the batch.
    """
    engines = view.engines[e]
    codes = np.zeros((engines.shape[0], view.world.models.shape[0]), np.uint8)
    most = float(view.world.params["max_num_seqs"][0])
    filled = np.log1p(engines["running"]) / np.log1p(most)
    shade = np.minimum(np.ceil(BATCH_SHADES * filled), BATCH_SHADES)
    status = engines["status"]
    code = np.select(
        [status == ENGINE_AWAKE, status == ENGINE_LOADING, status == ENGINE_ASLEEP], [IDLE + shade, LOADING, ASLEEP]
    )
    node, slot = np.nonzero(status != ENGINE_FREE)
    codes[node, engines["model"][node, slot]] = code[node, slot]
    return codes


def workflow_counts(view: View, e: int, *, predictions: bool) -> tuple[int, int, int]:
    """Workflows in the system, those at risk to miss their deadline, and those of them that are late already.

    A workflow is at risk when the time to its deadline is shorter than what is left of it by the scheduler's own
    estimate, of which the longest of its unfinished stages counts: T_rem of a stage that waits; T_rem less the time
    since its admission, but at least T_future, of one that runs; T_future of one whose answer is on its way or whose
    tool runs. Estimates leave out all waiting still to come, so that the true number is rather higher.

    Args:
        view: The view of a batch.
        e: The environment.
        predictions: Whether predictions may be used; without them, the late ones alone are at risk.

    Returns:
        (present, at risk, late): each counts among the one before.
    """
    now_s, workflows, stages = float(view.clock[e]["now_s"]), view.workflows[e], view.stages[e]
    left_s = np.minimum(workflows["finished_s"], workflows["rejected_s"])
    present = np.isfinite(workflows["arrival_s"]) & ~np.isfinite(left_s)
    spare_s = workflows["deadline_s"] - now_s
    late = present & (spare_s < 0.0)
    left_s = np.zeros(len(workflows))
    if predictions:
        phases = stages["phase"]
        active = stages[(phases > STAGE_FUTURE) & (phases < STAGE_FINISHED)]
        phase, rest_s, after_s = active["phase"], active["remaining_s_q50"], active["future_s_q50"]
        running_s = np.maximum(rest_s - (now_s - active["admitted_s"]), after_s)
        estimate_s = np.where(phase >= STAGE_DELIVERY, after_s, np.where(phase == STAGE_RUNNING, running_s, rest_s))
        np.maximum.at(left_s, active["workflow"], estimate_s)
    at_risk = present & (spare_s < left_s)
    return int(present.sum()), int((at_risk | late).sum()), int(late.sum())
