"""Maestro's order: interactive before batch (F9), inside a class SRTF on T_rem with aging (F5, F10).

    key = T_rem - alpha * wait

Preemption falls on boundaries only: the next stage of a workflow competes afresh with every other. A per-workflow
cooldown keeps one long workflow from being stopped again and again: stages that it protects come first in their class.
"""

from __future__ import annotations

from typing import Final

from maestro_gym.core.compile import njit
from maestro_gym.scheduling.rules import order_by
from maestro_gym.scheduling.view import class_of, ready_s, remaining_s, stages_done, waited_s, workflow_of
from maestro_gym.state import Hidden, View

AGING_PER_S: Final = 1.0
"""Seconds of T_rem that a second of waiting is worth (Maestro F10: alpha about 1, a modelling choice)."""

COOLDOWN_S: Final = 5.0
"""After a workflow was passed over at a boundary, its next boundary within this time is safe (F10, a choice)."""


@njit
def is_protected(view: View, e: int, stage: int) -> bool:
    """Whether the per-workflow cooldown keeps a stage from being passed over at this boundary.

    The stage that was passed over competes (with aging) like any other; it is the *next* boundary
    of its workflow that is safe when it comes within ``COOLDOWN_S``.
    """
    if stages_done(view, e, stage) == 0:
        return False
    since_s = ready_s(view, e, stage)
    passed_over_s = float(view.workflows[e, workflow_of(view, e, stage)].last_preempted_s)
    return passed_over_s < since_s and since_s - passed_over_s < COOLDOWN_S


@njit
def band(view: View, e: int, stage: int) -> int:
    """Two bands for each class, interactive first: protected stages, the others."""
    return 2 * class_of(view, e, stage) + (0 if is_protected(view, e, stage) else 1)


@njit
def key(view: View, oracle: Hidden, e: int, stage: int) -> float:
    """T_rem less its aging [s]."""
    return remaining_s(view, e, stage) - AGING_PER_S * waited_s(view, e, stage)


@njit
def slope(view: View, e: int) -> float:
    """All keys fall alike, as their stages age."""
    return -AGING_PER_S


RULE = order_by(
    key,
    band=band,
    slope=slope,
    name="maestro",
    information="P",
    description="interactive first, then SRTF on T_rem with aging; boundary preemption with a cooldown",
    source="Maestro F9 (V-author)",
    choice="F10 (I): key = T_rem - 1.0 * wait; after a boundary preemption the workflow's next one within 5 s is safe",
    rival=False,
)
