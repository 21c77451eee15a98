"""What a way on has come to by some time, in numbers that ways can be compared by."""

from __future__ import annotations

import numpy as np

from maestro_gym.state import State

OUTCOMES = ("missed", "residence_s")
"""Workflows whose deadline passed before they finished; workflow-seconds in the system."""

MISSED, RESIDENCE = range(len(OUTCOMES))


def outcome_by(state: State, e: int, end_s: float) -> np.ndarray:
    """The outcome of an environment that has come as far as a time.

    Args:
        state: The batch.
        e: Environment.
        end_s: Simulated time up to which workflows are counted; inf counts up to the clock, and then every workflow
            that is unfinished counts as missed, as in a comparison.

    Returns:
        float64, shape (`OUTCOMES`,).
    """
    workflows = state.visible.workflows[e]
    workflows = workflows[workflows["arrival_s"] <= end_s]
    workflows = workflows[np.isfinite(workflows["arrival_s"])]
    seen_until_s = min(end_s, float(state.visible.clock[e]["now_s"]))
    missed = workflows["deadline_s"] < np.minimum(workflows["finished_s"], end_s)
    stay_s = np.minimum(workflows["finished_s"], seen_until_s) - workflows["arrival_s"]
    return np.array([missed.sum(), stay_s.sum()], dtype=float)
