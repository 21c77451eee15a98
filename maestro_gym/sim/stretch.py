"""The stretch of steps that an engine has under way: its times, its token boundaries, and its cut."""

from __future__ import annotations

import math

from maestro_gym.core.compile import njit
from maestro_gym.sim.calendar import bring_event, plan_later
from maestro_gym.state import State

TIE_S = 1e-9
"""Events closer than this are simultaneous (docs/physics.md, "The decisions")."""


@njit
def stretch_s(state: State, e: int, node: int, slot: int, steps: int) -> float:
    """Seconds that the first ``steps`` steps of the stretch under way take."""
    core = state.core.engines[e, node, slot]
    return steps * core.base_s + core.slope_s * (0.5 * steps * (steps - 1.0))


@njit
def boundary_at_or_after(state: State, e: int, node: int, slot: int, time_s: float) -> int:
    """Steps of the stretch under way at its first token boundary at or after a time; at least one."""
    core = state.core.engines[e, node, slot]
    target_s = time_s - core.begin_s - TIE_S
    if target_s <= core.base_s or core.steps <= 1:
        return 1
    # Positive root of slope/2 k^2 + (base - slope/2) k = target, then made exact by stepping.
    half, linear = 0.5 * core.slope_s, core.base_s - 0.5 * core.slope_s
    if half > 0.0:
        root = 2.0 * target_s / (linear + math.sqrt(linear * linear + 4.0 * half * target_s))
    else:
        root = target_s / linear
    if not root < core.steps:
        return core.steps
    steps = max(1, int(root))
    while steps < core.steps and stretch_s(state, e, node, slot, steps) < target_s:
        steps += 1
    while steps > 1 and stretch_s(state, e, node, slot, steps - 1) >= target_s:
        steps -= 1
    return steps


@njit
def steps_done(state: State, e: int, node: int, slot: int) -> int:
    """Steps of the stretch under way that have ended by now."""
    core = state.core.engines[e, node, slot]
    now_s = state.visible.clock[e].now_s
    if core.steps <= 1 or now_s <= core.begin_s:
        return 0
    if now_s >= core.event_s - TIE_S:
        return core.steps
    steps = boundary_at_or_after(state, e, node, slot, now_s)
    return steps if core.begin_s + stretch_s(state, e, node, slot, steps) <= now_s + TIE_S else steps - 1


@njit
def next_boundary_s(state: State, e: int, node: int, slot: int) -> float:
    """When the next step of the stretch under way ends, inf when none does before its last."""
    core = state.core.engines[e, node, slot]
    steps = steps_done(state, e, node, slot) + 1
    if steps >= core.steps:
        return core.event_s if steps == core.steps and core.steps > 1 else math.inf
    return core.begin_s + stretch_s(state, e, node, slot, steps)


@njit
def cut(state: State, e: int, node: int, slot: int) -> None:
    """Make the stretch under way end at its next token boundary; an idle engine is planned at once."""
    core = state.core.engines[e, node, slot]
    if core.event_s == math.inf or core.steps == 0:
        core.dirty = 1
        core.event_s = math.inf
        plan_later(state, e, node)
        return
    core.steps = boundary_at_or_after(state, e, node, slot, state.visible.clock[e].now_s)
    core.event_s = core.begin_s + stretch_s(state, e, node, slot, core.steps)
    bring_event(state, e, node, core.event_s)
