"""Head-of-line blocking, from the logged times of stages."""

from __future__ import annotations

import numpy as np

_CHUNK = 512
"""Stages compared with all others of a node at once: bounds the pair table to a few megabytes."""


def blocked_s(
    node: np.ndarray, queued_s: np.ndarray, admitted_s: np.ndarray, model: np.ndarray, service_s: np.ndarray
) -> np.ndarray:
    """Time each stage stood in its node's queue behind a stage that ought not to hold it up.

    Stage i holds up stage j when both wait in the queue of one node, i came earlier (ties by id), i
    was admitted no later than j, and i either asks for another model or needs more nominal service
    time than j. The blocked time of j runs from its arrival in the queue to the last admission among
    the stages that held it up. Behind an equal or shorter stage of the same model a stage is queueing,
    not blocked; a stage that the node rule took out of order blocks only those it was taken before.

    Args:
        node: int, shape (S,): node whose queue the stage joined, -1 = none.
        queued_s: float, shape (S,).
        admitted_s: float, shape (S,): first admission, or the cap for a stage that still waits.
        model: int, shape (S,).
        service_s: float, shape (S,): nominal service time, true output length.

    Returns:
        float64, shape (S,), zero for stages that joined no queue.
    """
    blocked = np.zeros(len(node))
    for place in np.unique(node[node >= 0]):
        ids = np.flatnonzero(node == place)
        ids = ids[np.argsort(queued_s[ids], kind="stable")]
        position = np.arange(len(ids))
        came, left, kind, size = queued_s[ids], admitted_s[ids], model[ids], service_s[ids]
        for begin in range(0, len(ids), _CHUNK):
            own = slice(begin, begin + _CHUNK)
            held = (
                (position[None, :] < position[own, None])
                & (left[None, :] > came[own, None])
                & (left[None, :] <= left[own, None])
                & ((kind[None, :] != kind[own, None]) | (size[None, :] > size[own, None]))
            )
            until = np.where(held, left[None, :], -np.inf).max(axis=1)
            blocked[ids[own]] = np.maximum(until - came[own], 0.0)
    return blocked
