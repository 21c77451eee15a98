"""A binary heap of timed stage events, ordered by (time, stage)."""

from __future__ import annotations

from maestro_gym.core.compile import njit
from maestro_gym.state import State


@njit
def push(state: State, e: int, time_s: float, stage: int) -> None:
    """Add an event; a stage has at most one at a time."""
    times, stages = state.core.heap_s[e], state.core.heap_stage[e]
    at = state.core.env[e].heap_len
    state.core.env[e].heap_len = at + 1
    while at > 0:
        parent = (at - 1) >> 1
        if times[parent] < time_s or (times[parent] == time_s and stages[parent] < stage):
            break
        times[at] = times[parent]
        stages[at] = stages[parent]
        at = parent
    times[at] = time_s
    stages[at] = stage


@njit
def pop(state: State, e: int) -> int:
    """Take the earliest event off a heap that is not empty; its stage."""
    times, stages = state.core.heap_s[e], state.core.heap_stage[e]
    first = stages[0]
    size = state.core.env[e].heap_len - 1
    state.core.env[e].heap_len = size
    time_s, stage = times[size], stages[size]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            times[other] < times[child] or (times[other] == times[child] and stages[other] < stages[child])
        ):
            child = other
        if time_s < times[child] or (time_s == times[child] and stage < stages[child]):
            break
        times[at] = times[child]
        stages[at] = stages[child]
        at = child
    times[at] = time_s
    stages[at] = stage
    return first
